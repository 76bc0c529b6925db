"""A token endpoint on a port of its own: it gives a token to the gateway, or one for a caller's."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

from service import Service

Json = object


class TokenService(Service):
    """``issued`` has every token that it has given; those of ``refused`` subjects are not exchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.issued: list[str] = []
        self.refused: set[str] = set()

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        form = {name: values[0] for name, values in parse_qs(self.requests[-1].body.decode()).items()}
        subject = "gateway"
        if "subject_token" in form:
            claims = form["subject_token"].split(".")[1]
            subject = json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"]
        if subject in self.refused:
            return 400, "application/json", json.dumps({"error": "invalid_grant"}).encode()
        self.issued.append(f"issued-{len(self.issued)}-for-{subject}")
        body = {"access_token": self.issued[-1], "token_type": "Bearer", "expires_in": 600}
        return 200, "application/json", json.dumps(body).encode()

    @property
    def forms(self) -> list[dict[str, str]]:
        """What was asked for, in turn."""
        bodies = [parse_qs(seen.body.decode()) for seen in self.requests]
        return [{name: values[0] for name, values in body.items()} for body in bodies]
