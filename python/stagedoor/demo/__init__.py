"""The shop example: eight services as processes, the gateway in front of them, and a tour through both.

It is a user of the package and not a part of it: nothing but the command line may import it.
"""
