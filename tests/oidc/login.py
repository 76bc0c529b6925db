"""A browser that logs in at the provider's pages, and the provider itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

HERE = Path(__file__).parent
PAGE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}


def node() -> str | None:
    """Where there is one that knows what the provider needs."""
    node = shutil.which("node")
    if node is None:
        return None
    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True, timeout=60).stdout
    return node if int(version.removeprefix("v").partition(".")[0]) >= 20 else None


class Provider:
    """``provider.mjs`` as a process. ``log`` has a line for each grant that it has made."""

    def __init__(self) -> None:
        found = node()
        if found is None or not (HERE / "node_modules" / "oidc-provider").exists():
            assert not os.environ.get("CI"), "node 20 or oidc-provider is missing"
            pytest.skip("node 20 or oidc-provider is not installed: make test-tools")
        self.process = subprocess.Popen(
            [found, "provider.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        about = json.loads(self.process.stdout.readline())
        self.issuer: str = about["issuer"]
        self.jwks = json.dumps(about["jwks"])
        self.log: list[str] = []

    def serve(self, origin: str) -> None:
        """Its one client is the gateway at ``origin``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{origin}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line.strip())

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Browser(httpx.Client):
    """Shows pages: follows redirects and keeps cookies."""

    def __init__(self) -> None:
        super().__init__(headers=PAGE, follow_redirects=True, timeout=60, trust_env=False)

    def submit(self, page: httpx.Response, **values: str) -> httpx.Response:
        """The page's form, filled in."""
        form = re.search(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page.text, re.DOTALL)
        assert form is not None, page.text
        hidden = dict(re.findall(r"<input[^>]*type=\"hidden\"[^>]*name=\"([^\"]+)\"[^>]*value=\"([^\"]*)\"", form[2]))
        return self.post(urljoin(str(page.url), form[1]), data={**hidden, **values})

    def log_in(self, url: str, name: str) -> httpx.Response:
        """The page at ``url``, after the provider's pages for name and consent."""
        page = self.submit(self.get(url), login=name, password="any")
        return self.submit(page)
