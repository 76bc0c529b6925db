"""What a user writes, from the file to the snapshot.

``load`` reads and checks everything; ``compile`` turns the result into the data plane's snapshot, without I/O.
"""

from stagedoor.config.compile import compile
from stagedoor.config.configuration import Configuration
from stagedoor.config.load import check, load
from stagedoor.config.problem import InvalidConfiguration, Located, Report

__all__ = ["Configuration", "InvalidConfiguration", "Located", "Report", "check", "compile", "load"]
