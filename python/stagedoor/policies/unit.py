"""Values with a unit: never bare numbers."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class _Unit(int):
    """A whole number of the smallest unit, written as text."""

    pattern: ClassVar[re.Pattern[str]]
    factors: ClassVar[dict[str, int]]
    what: ClassVar[str]
    example: ClassVar[str]

    @classmethod
    def parse(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            hint = f"write '{value}{cls.hint_unit()}'" if isinstance(value, int) and value >= 0 else None
            raise PydanticCustomError("unit", "{what} has a unit, for example {example}", {
                "what": cls.what, "example": cls.example, "hint": hint,
            })  # fmt: skip
        match = cls.pattern.fullmatch(value) if isinstance(value, str) and len(value) <= 24 else None
        if match is None:
            raise PydanticCustomError("unit", "expected {what}, for example {example}", {
                "what": cls.what, "example": cls.example, "hint": None,
            })  # fmt: skip
        return cls(int(match[1]) * cls.factors[match[2]])

    @classmethod
    def hint_unit(cls) -> str:
        """The unit that a bare number most likely meant."""
        return list(cls.factors)[min(1, len(cls.factors) - 1)]

    def __str__(self) -> str:
        """In the largest unit that divides it."""
        value = int(self)
        unit, factor = max(
            ((unit, factor) for unit, factor in self.factors.items() if value % factor == 0), key=lambda each: each[1]
        )
        return f"{value // factor}{unit}" if value else f"0{self.hint_unit()}"

    def __repr__(self) -> str:
        return str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": f"^{cls.pattern.pattern}$",
            "x-unit": f"{cls.what}, for example {cls.example}",
        }


class Duration(_Unit):
    """Milliseconds; written ``250ms``, ``1s``, ``5m``, ``1h``, ``1d``."""

    pattern = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")
    factors: ClassVar = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    what = "a duration"
    example = "250ms, 1s, 5m or 1h"


class Size(_Unit):
    """Bytes; written ``512B``, ``64KiB``, ``1MiB``, ``1GiB``: powers of 1024, and named so."""

    pattern = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)")
    factors: ClassVar = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
    what = "a size"
    example = "512B, 64KiB or 1MiB"

    @classmethod
    def hint_unit(cls) -> str:
        return "B"


class Percent(_Unit):
    """A share of 100; written ``20%``."""

    pattern = re.compile(r"([0-9]{1,3})(%)")
    factors: ClassVar = {"%": 1}
    what = "a percentage"
    example = "20%"
