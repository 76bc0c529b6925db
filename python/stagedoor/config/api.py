"""APIs and their versions."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from stagedoor.config.time import Moment, moment
from stagedoor.policies.model import HeaderName, Name, Strict, duration, is_token, wrong
from stagedoor.policies.transform import (
    TransformRequest,
    TransformResponse,
    compile_transform_request,
    compile_transform_response,
)
from stagedoor.policies.unit import Duration, Percent
from stagedoor.policies.validate import File

Json = dict[str, Any]
_URL = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+")
_MEDIA_TYPE = re.compile(r"[a-z]+/[\w.!#$&^-]*\{version\}[\w.!#$&^-]*\+[\w.-]+", re.ASCII)
VERSIONS = 100
"""Of one API."""


def _url(value: str) -> str:
    if not _URL.fullmatch(value) or len(value) > 2000:
        raise wrong("expected the URL of a page, for example https://shop.example/docs/v1")
    return value


def _media(value: str) -> str:
    if "{" in value or "/" in value:
        if not _MEDIA_TYPE.fullmatch(value):
            raise wrong("expected a media type such as application/vnd.shop.{version}+json")
    elif not is_token(value) or value.lower() == "q":
        raise wrong("expected the name of a parameter, or a media type such as application/vnd.shop.{version}+json")
    return value


class VersionMarker(Strict):
    """Where a request says which version it asks for: exactly one of these."""

    header: HeaderName | None = None
    """A header with the version's name."""
    query: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """A parameter of the query with the version's name."""
    media_type: Annotated[str, Field(max_length=200), AfterValidator(_media)] | None = None
    """In ``Accept``, else in ``Content-Type``: a parameter (``version``: ``application/json; version=2``), or a media
    type (``application/vnd.shop.{version}+json``)."""
    date: HeaderName | None = None
    """A header with a date. The versions are named by dates: the latest one not after it."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise wrong("expected one of 'header', 'query', 'media_type' and 'date', or the word 'path'")
        return self


class StepChanges(Strict):
    """How requests of a version become those of the next, and answers come back."""

    up: TransformRequest | None = None
    """What the next version gets in place of the request."""
    down: TransformResponse | None = None
    """What the client gets in place of an answer below 400, each event of a stream included."""
    down_errors: TransformResponse | None = None
    """What the client gets in place of an answer of 400 and above. Left out: those stay as they are."""

    @model_validator(mode="after")
    def _described_once(self) -> Self:
        if any(each is not None and each.openapi is not None for each in (self.up, self.down, self.down_errors)):
            raise wrong(
                "'openapi' does not belong to a step", "give each version its own: versions: {v1: {openapi: FILE}}"
            )
        return self


class Step(StepChanges):
    """What a version is made of."""

    to: Name
    """The version that is asked in its place, which may step on in turn."""


class Brownout(Strict):
    """Times at which a version is switched off, so that whoever still uses it notices."""

    start: Moment
    """When it begins first."""
    lasts: Duration = duration(None, least="1s", most="31d")
    """How long it lasts."""
    every: Duration | None = duration(None, least="1m", most="366d", optional=True)
    """From one begin to the next. Left out: it does not come again."""
    until: Moment | None = None
    """When it has come for the last time. Left out: the sunset."""
    share: Percent = Field(
        default=Percent.parse("100%"), ge=1, le=100, json_schema_extra={"x-least": "1%", "x-most": "100%"}
    )
    """Requests that are refused meanwhile, by chance."""
    status: Literal[410, 503] = 503
    """What they are answered with: 503 with ``Retry-After``, or 410."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.every is not None and self.every <= self.lasts:
            raise wrong("'every' is not longer than 'lasts'", "switched off for good is what 'sunset' is for")
        return self


class ApiVersion(Strict):
    """One version of an API."""

    deprecated: Moment | None = None
    """Since when, or from when on, nobody should begin to use it: ``Deprecation`` (RFC 9745)."""
    sunset: Moment | None = None
    """When it ends: ``Sunset`` (RFC 8594), and 410 from then on."""
    docs: Annotated[str, AfterValidator(_url)] | None = None
    """URL of the page that tells of it: ``Link`` with ``deprecation`` and ``sunset``."""
    successor: Name | None = None
    """The version to go over to. Left out: the one that it steps to."""
    cluster: Name | None = None
    """Where routes that lead to a cluster lead to for this version. Left out: where they lead to."""
    step: Step | None = None
    """It is made of the next version. Left out: it is implemented."""
    brownouts: Annotated[list[Brownout], Field(max_length=32)] = []
    """When it is switched off for a while."""
    openapi: File | None = None
    """Its OpenAPI document, whose examples ``stagedoor check`` sends through the steps."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.cluster is not None and self.step is not None:
            raise wrong("'cluster' and 'step' do not go together: it is implemented, or made of another version")
        if self.deprecated and self.sunset and moment(self.sunset) < moment(self.deprecated):
            raise wrong("'sunset' is before 'deprecated'", "a version is deprecated first (RFC 9745)")
        return self


def _marker_shape(value: Any) -> str:
    return "<path>" if isinstance(value, str) else "<marker>"


class Api(Strict):
    """A group of routes whose versions are told apart by a marker in the request."""

    version: Annotated[
        Annotated[Literal["path"], Tag("<path>")] | Annotated[VersionMarker, Tag("<marker>")],
        Discriminator(_marker_shape),
    ]
    """Where a request says which version it asks for: ``path`` is the segment ``{version}`` of the routes' paths."""
    marker: Literal["keep", "strip"] = "keep"
    """Whether the target sees the marker, which then names the version that is asked, or not."""
    default: Name | None = None
    """The version of requests that name none. Left out: they are refused."""
    fallback: Name | None = None
    """The version of requests for one that there is not. Left out: they are refused."""
    unknown: Literal[400, 404] = 400
    """What requests are refused with, and a list of the versions."""
    marker_over_pin: bool = True
    """Whether a request's marker goes before the version that its consumer is pinned to."""
    versions: Annotated[dict[Name, ApiVersion], Field(min_length=1, max_length=VERSIONS)]
    """The versions by name, which is what the marker says."""


def compile_api(api: Api) -> Json:
    """Its part of the snapshot."""
    return {
        "marker": _marker(api.version),
        "strip": api.marker == "strip",
        "default": api.default,
        "fallback": api.fallback,
        "unknown": api.unknown,
        "marker_over_pin": api.marker_over_pin,
        "versions": [_version(name, version) for name, version in api.versions.items()],
    }


def _marker(marker: str | VersionMarker) -> Json | str:
    if isinstance(marker, str):
        return marker
    if marker.media_type is not None:
        return {"media_type" if "{" in marker.media_type else "media_parameter": marker.media_type}
    return marker.model_dump(exclude_unset=True)


def _version(name: str, version: ApiVersion) -> Json:
    parts: Json = {"name": name}
    if version.deprecated is not None:
        parts["deprecated"] = moment(version.deprecated)
    if version.sunset is not None:
        parts["sunset"] = moment(version.sunset)
    named = {
        "docs": version.docs,
        "successor": version.successor,
        "cluster": version.cluster,
        "openapi": version.openapi,
    }
    parts |= {key: value for key, value in named.items() if value is not None}
    if version.step is not None:
        parts["step"] = {"to": version.step.to, "changes": compile_step(version.step)}
    if version.brownouts:
        parts["brownouts"] = [_brownout(each) for each in version.brownouts]
    return parts


def compile_step(changes: StepChanges) -> Json:
    """Its part of the snapshot."""
    parts: Json = {}
    if changes.up is not None:
        parts["up"] = compile_transform_request(changes.up)
    if changes.down is not None:
        parts["down"] = compile_transform_response(changes.down)
    if changes.down_errors is not None:
        parts["down_errors"] = compile_transform_response(changes.down_errors)
    return parts


def _brownout(brownout: Brownout) -> Json:
    return {
        "start": moment(brownout.start),
        "for_s": int(brownout.lasts) // 1000,
        "every_s": None if brownout.every is None else int(brownout.every) // 1000,
        "until": None if brownout.until is None else moment(brownout.until),
        "percent": int(brownout.share),
        "status": brownout.status,
    }
