"""Authentication of calls: what a document says about it, checked and compiled. Who proves it is the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from stagedoor.workflow import endpoint as endpoints
from stagedoor.workflow.endpoint import Endpoint
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Environment, Template
from stagedoor.workflow.manner import Authentication, Scheme
from stagedoor.workflow.place import kind, suggestion
from stagedoor.workflow.secret import late

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GRANTS = ("authorization_code", "client_credentials", "password", "refresh_token", EXCHANGE)
CLIENT_AUTHENTICATIONS = ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none")
ENCODINGS = ("application/x-www-form-urlencoded", "application/json")
NEEDS = {
    "basic": ("username", "password"),
    "digest": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("authority", "grant"),
    "oidc": ("authority", "grant"),
}
"""Scheme → what it cannot be without."""
OF_GRANT = {
    "authorization_code": ("subject",),
    "client_credentials": ("client",),
    "password": ("username", "password"),
    "refresh_token": ("subject",),
    EXCHANGE: ("subject",),
}
"""Grant → what a token cannot be asked for without."""
TOKEN_KEYS = frozenset(
    {
        *("authority", "grant", "client", "request", "issuers", "scopes", "audiences"),
        *("username", "password", "subject", "actor"),
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """An authentication policy as the document has it."""

    scheme: Scheme
    secret: str | None = None
    properties: Template | None = None
    authority: Endpoint | None = None

    def __call__(self, environment: Environment, data: Json) -> Authentication:
        """Raises ``Failure``."""
        if self.secret is not None:
            return Authentication(self.scheme, {}, self.secret)
        assert self.properties is not None
        properties = self.properties(environment, data)
        if self.authority is not None:
            try:
                properties = {**properties, "authority": self.authority.expand(data)}
            except ValueError as error:
                said = str(error).replace("endpoint", "authority")
                raise Failure(standard("expression", 400, "Request not valid", environment.reference, said)) from error
        return Authentication(self.scheme, properties)


def compile(place: Place, compiler: Compiler, within: Within) -> Policy | None:
    """A policy written out, or ``{use: NAME}`` of ``use.authentications``."""
    if not place.mapping(minimum=1):
        return None
    if "use" in place.value:
        place.keys({"use"}, common=False)
        name = place.at("use").text()
        if name is None:
            return None
        found = compiler.authentications.get(name)
        if found is None:
            near = suggestion(name, compiler.authentications)
            hint = f"did you mean {near!r}?" if near else "declare it in use.authentications"
            place.at("use").problem(f"no authentication named {name!r}", hint)
            return None
        compiler.authentications_used.add(name)
        return policy(found, compiler, within)
    return policy(place, compiler, within)


def policy(place: Place, compiler: Compiler, within: Within) -> Policy | None:
    if not place.mapping():
        return None
    place.keys(set(NEEDS), common=False)
    schemes = [key for key in place.value if key in NEEDS]
    if len(schemes) != 1:
        place.problem("an authentication is of one kind: basic, bearer, digest, oauth2 or oidc")
        return None
    scheme = cast(Scheme, schemes[0])
    inner = place.at(scheme)
    if not inner.mapping(minimum=1):
        return None
    if "use" in inner.value:
        return _of_secret(inner, scheme, compiler)
    needs = NEEDS[scheme]
    known = set(needs) if scheme in ("basic", "digest", "bearer") else {*TOKEN_KEYS}
    if scheme == "oauth2":
        known.add("endpoints")
    inner.keys(known, common=False)
    complete = inner.mapping(required=needs)
    authority = None
    if scheme in ("oauth2", "oidc"):
        authority = _token(inner, compiler)
    else:
        for key in needs:
            if key in inner.value:
                inner.at(key).text()
    if not complete:
        return None
    said = {key: value for key, value in inner.value.items() if key != "authority"}
    place_of = type(inner)(said, inner.path, inner.problems)
    template = compiler.template(place_of, late(within.variables, authorization=False), strict=True)
    return Policy(scheme, None, template, authority)


def _of_secret(inner: Place, scheme: Scheme, compiler: Compiler) -> Policy | None:
    inner.keys({"use"}, common=False)
    name = inner.at("use").text()
    if name is None:
        return None
    if name not in compiler.secrets:
        near = suggestion(name, compiler.secrets)
        hint = f"did you mean {near!r}?" if near else "name it in use.secrets"
        inner.at("use").problem(f"no secret named {name!r}", hint)
        return None
    compiler.secrets_of_schemes.add((name, scheme))
    return Policy(scheme, name)


def _token(place: Place, compiler: Compiler) -> Endpoint | None:
    """What OAuth 2 and OpenID Connect have in common; the authority."""
    said = place.value
    for key in ("username", "password"):
        if key in said:
            place.at(key).text()
    for key in ("scopes", "audiences", "issuers"):
        if key in said:
            _texts(place.at(key))
    grant = place.at("grant").choice(GRANTS, "") if "grant" in said else ""
    for key in OF_GRANT.get(grant, ()):
        if key not in said:
            place.problem(f"the grant {grant} needs {key!r}")
    if "client" in said:
        _client(place.at("client"))
    if "request" in said and place.at("request").mapping():
        place.at("request").keys({"encoding"}, common=False)
        place.at("request").at("encoding").choice(ENCODINGS, ENCODINGS[0])
    for key in ("subject", "actor"):
        if key in said and place.at(key).mapping(required=("token", "type")):
            place.at(key).keys({"token", "type"}, common=False)
    if "endpoints" in said and place.at("endpoints").mapping():
        place.at("endpoints").keys({"token", "revocation", "introspection"}, common=False)
        for key in said["endpoints"]:
            place.at("endpoints").at(key).text()
    return _authority(place.at("authority"), compiler) if "authority" in said else None


def _authority(place: Place, compiler: Compiler) -> Endpoint | None:
    text = place.text()
    if text is None:
        return None
    try:
        authority = endpoints.parse(text)
    except ValueError as error:
        place.problem(str(error).replace("endpoint", "authority"))
        return None
    compiler.reaches(authority)
    return authority


def _client(place: Place) -> None:
    if not place.mapping():
        return
    place.keys({"id", "secret", "assertion", "authentication"}, common=False)
    for key in ("id", "secret", "assertion"):
        if key in place.value:
            place.at(key).text()
    way = place.at("authentication").choice(CLIENT_AUTHENTICATIONS, "client_secret_post")
    said = place.value
    if "id" not in said:
        place.problem("'id' is missing")
    if way == "private_key_jwt" and "assertion" not in said and "secret" not in said:
        place.problem("private_key_jwt needs an 'assertion', or the private key as 'secret'")
    elif way.startswith("client_secret") and "secret" not in said:
        place.problem(f"{way} needs a 'secret'", "a client without one has authentication: none")


def _texts(place: Place) -> None:
    if not isinstance(place.value, list):
        place.problem(f"expected a list, found {kind(place.value)}")
        return
    for index in range(len(place.value)):
        place.at(index).text()


def fault(scheme: str, value: Json) -> str | None:
    """What is wrong with a secret as the properties of a scheme, without showing any of it; None if nothing is."""
    if not isinstance(value, Mapping):
        return "it is not an object"
    missing = [key for key in NEEDS[scheme] if key not in value]
    if missing:
        return f"{missing[0]!r} is missing in it"
    if scheme in ("oauth2", "oidc"):
        grant = value["grant"]
        if grant not in GRANTS:
            return "its grant is none that is known"
        missing = [key for key in OF_GRANT[grant] if key not in value]
        return f"the grant {grant} needs {missing[0]!r}" if missing else None
    wrong = [key for key in NEEDS[scheme] if not isinstance(value[key], str)]
    return f"{wrong[0]!r} is not text" if wrong else None
