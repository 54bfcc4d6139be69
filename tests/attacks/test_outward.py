# SPDX-License-Identifier: Apache-2.0
"""The server goes to no address that a request names: only what settings and the declaration name is asked, by the modules listed here."""

from __future__ import annotations

import ast
from pathlib import Path

import mangrove

SOURCE = Path(mangrove.__file__).parent
CLIENTS = {
    "httpx",
    "requests",
    "aiohttp",
    "urllib3",
    "urllib.request",
    "http.client",
    "ftplib",
    "smtplib",
    "telnetlib",
}
KNOWN = {
    "client.py": "a worker's own server",
    "replicate.py": "the source that the command names; redirections are refused",
    "serve/access/oidc.py": "the issuer of the settings",
    "sources/ftp.py": "the address in devices.csv",
}


def clients(path: Path) -> set[str]:
    """The libraries that go out which a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & CLIENTS


def test_only_modules_whose_addresses_come_from_settings_or_the_declaration_go_out():
    found = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if clients(path)}
    assert found <= KNOWN.keys(), found - KNOWN.keys()


def test_the_replica_follows_no_redirection():
    from mangrove.replicate import _NoRedirect

    assert _NoRedirect().redirect_request(None, None, 302, "", {}, "http://elsewhere.example") is None
