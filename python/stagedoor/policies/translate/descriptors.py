"""Where the types of services and messages come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import Strict, duration, wrong
from stagedoor.policies.unit import Duration

_SERVICE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def _proto(value: str) -> str:
    steps = value.split("/")
    if not value.endswith(".proto") or "" in steps or ".." in steps or "." in steps:
        raise wrong("expected the name of a .proto file within the import paths, such as shop/v1/shop.proto")
    return value


def _service(value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise wrong("expected the full name of a service, such as shop.v1.Shop")
    return value


File = Annotated[str, Field(min_length=1, max_length=1000)]
ProtoFile = Annotated[str, Field(max_length=1000), AfterValidator(_proto)]
ServiceName = Annotated[str, Field(max_length=500), AfterValidator(_service)]


class Reflection(Strict):
    """The service is asked what it has (``grpc.reflection.v1``, or ``v1alpha``), through the route's cluster."""

    timeout: Duration = duration("5s", least="100ms", most="1m")
    """How long one look may take."""


class Descriptors(Strict):
    """Where the types come from. Exactly one of ``file``, ``proto`` and ``reflection``."""

    file: File | None = None
    """A ``FileDescriptorSet``, as ``protoc --include_imports --descriptor_set_out`` and ``buf build`` write it;
    relative to the configuration's folder."""
    proto: Annotated[list[ProtoFile], Field(min_length=1, max_length=100)] | None = None
    """``.proto`` files, by their names within ``import_paths``; what they import is found there too."""
    import_paths: Annotated[list[File], Field(min_length=1, max_length=20)] = ["."]
    """Folders in which ``proto`` and imports are looked for, in this order; relative to the configuration's folder."""
    reflection: Reflection | None = None
    """The service describes itself."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.file is None, self.proto is None, self.reflection is None].count(False) != 1:
            raise wrong("expected exactly one of 'file', 'proto' and 'reflection'")
        if self.proto is None and "import_paths" in self.model_fields_set:
            raise wrong("'import_paths' belongs to 'proto'")
        return self


def compile_descriptors(descriptors: Descriptors, folder: Path) -> dict[str, Any]:
    """Its part of the snapshot."""
    if descriptors.file is not None:
        return {"set": str(folder / descriptors.file)}
    if descriptors.proto is not None:
        paths = [str(folder / path) for path in descriptors.import_paths]
        return {"sources": {"files": list(descriptors.proto), "import_paths": paths}}
    reflection = descriptors.reflection or Reflection()
    return {"reflection": {"timeout_ms": int(reflection.timeout)}}
