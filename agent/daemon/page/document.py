"""Puts the page together, with a policy that lets nothing run but its own style and script."""

from __future__ import annotations

import binascii
import hashlib
from pathlib import Path

from agent.daemon.listener import Answer

_HERE = Path(__file__).parent
_KIND = "text/html; charset=utf-8"


def page() -> Answer:
    """Give the page; it asks for everything else by addresses relative to its own."""
    style, script, body = (_read(name) for name in ("page.css", "page.js", "page.html"))
    filled = body.replace(b"/* style */", style).replace(b"/* script */", script)
    return Answer(200, _KIND, filled, {"Content-Security-Policy": _policy(style, script)})


def _read(name: str) -> bytes:
    return (_HERE / name).read_bytes()


def _policy(style: bytes, script: bytes) -> str:
    return (
        f"default-src 'none'; connect-src 'self'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(text: bytes) -> str:
    digest = binascii.b2a_base64(hashlib.sha256(text).digest(), newline=False).decode()
    return f"'sha256-{digest}'"
