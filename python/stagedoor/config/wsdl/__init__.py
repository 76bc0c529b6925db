"""WSDL 1.1 and XML Schema, read from files and compiled for the data plane."""

from stagedoor.config.wsdl.load import load_operations, reference
from stagedoor.config.wsdl.operation import Reference

__all__ = ["Reference", "load_operations", "reference"]
