"""What browsers are told to be careful about."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import MinLen
from pydantic import Field

from stagedoor.policies.model import HeaderName, HeaderValue, Strict

Text = Annotated[HeaderValue, MinLen(1)]


class SecurityHeaders(Strict):
    """Response headers that make browsers careful; those that tell of the service's software are taken away."""

    content_type_options: Literal["nosniff", "off"] = "nosniff"
    """``X-Content-Type-Options``: types are taken as declared."""
    frame_options: Literal["deny", "sameorigin", "off"] = "deny"
    """``X-Frame-Options``: which pages may frame this one; ``frame-ancestors`` of a policy below says more."""
    referrer_policy: Literal[
        "no-referrer",
        "no-referrer-when-downgrade",
        "origin",
        "origin-when-cross-origin",
        "same-origin",
        "strict-origin",
        "strict-origin-when-cross-origin",
        "unsafe-url",
        "off",
    ] = "strict-origin-when-cross-origin"
    """``Referrer-Policy``: what other sites learn of where their visitors come from."""
    content_security_policy: Text | None = None
    """``Content-Security-Policy``, for example ``default-src 'self'``."""
    content_security_policy_report_only: Text | None = None
    """``Content-Security-Policy-Report-Only``: one to be tried."""
    permissions_policy: Text | None = None
    """``Permissions-Policy``, for example ``camera=(), microphone=()``."""
    cross_origin_opener_policy: Literal["same-origin", "same-origin-allow-popups", "noopener-allow-popups"] | None = (
        None
    )
    """``Cross-Origin-Opener-Policy``."""
    cross_origin_embedder_policy: Literal["require-corp", "credentialless"] | None = None
    """``Cross-Origin-Embedder-Policy``."""
    cross_origin_resource_policy: Literal["same-site", "same-origin", "cross-origin"] | None = None
    """``Cross-Origin-Resource-Policy``."""
    remove: Annotated[list[HeaderName], Field(max_length=100)] = [
        "server",
        "x-powered-by",
        "x-aspnet-version",
        "x-aspnetmvc-version",
    ]
    """Headers that are taken away."""
    override: bool = False
    """Whether these replace what the target itself says; left out, the target knows better."""


def compile_security_headers(policy: SecurityHeaders) -> dict[str, Any]:
    """Its part of the snapshot."""
    values = {
        "x-content-type-options": policy.content_type_options,
        "x-frame-options": policy.frame_options.upper() if policy.frame_options != "off" else "off",
        "referrer-policy": policy.referrer_policy,
        "content-security-policy": policy.content_security_policy,
        "content-security-policy-report-only": policy.content_security_policy_report_only,
        "permissions-policy": policy.permissions_policy,
        "cross-origin-opener-policy": policy.cross_origin_opener_policy,
        "cross-origin-embedder-policy": policy.cross_origin_embedder_policy,
        "cross-origin-resource-policy": policy.cross_origin_resource_policy,
    }
    return {
        "set": {name: value for name, value in values.items() if value not in (None, "off")},
        "remove": list(policy.remove),
        "override": policy.override,
    }
