"""Signed answers: a middleware that signs what answers a signed call, whatever became of it.

It stands outside of everything, so a refusal and a failure are signed like an answer. A body that
comes in pieces is only signed when its route told the Content-Digest beforehand.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange import signatures
from exchange.keys import TokenKey
from exchange.signatures import Asked
from exchange.web.caller import target
from schemas.message_signature import content_digest

SIGNATURE = re.compile(r"[a-z][a-z0-9_.-]{0,31}=:[A-Za-z0-9+/]{1,512}={0,2}:")


class Signing:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the answer of one that came with a signature is signed."""
        signature = _signature(scope) if scope["type"] == "http" else None
        if signature is None:
            await self._app(scope, receive, send)
            return
        hub = scope["app"].state.hub
        uri = target(scope, hub.settings.public_url)
        asked = Asked(scope["method"], uri, {"signature": signature})
        own = hub.answer_keys.ring.signing(time.time())
        await self._app(scope, receive, _Answer(asked, own, send))


class _Answer:
    """Holds the head of an answer back until its body is known, then sends both."""

    def __init__(self, asked: Asked, own: TokenKey, send: Send) -> None:
        self._asked = asked
        self._own = own
        self._send = send
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            return
        if self._head is not None:
            head, self._head = self._head, None
            await self._send(self._signed(head, message))
        await self._send(message)

    def _signed(self, head: Message, first: Message) -> Message:
        told = {name.decode().lower(): value.decode("latin-1") for name, value in head["headers"]}
        if "content-digest" not in told:
            if first.get("more_body"):
                return head
            told["content-digest"] = content_digest(first.get("body", b""))
        fields = {name: told[name] for name in ("content-type", "content-digest") if name in told}
        made = signatures.answer_headers(head["status"], fields, self._asked, self._own)
        added = {"content-digest": told["content-digest"], **made}
        kept = [pair for pair in head["headers"] if pair[0].lower() != b"content-digest"]
        return {**head, "headers": kept + [_pair(each) for each in added.items()]}


def _pair(each: tuple[str, str]) -> tuple[bytes, bytes]:
    return each[0].encode("latin-1"), each[1].encode("latin-1")


def _signature(scope: Mapping[str, Any]) -> str | None:
    """The one signature that a request came with, if its form is one; proved it is elsewhere."""
    found = [value for name, value in scope["headers"] if name == b"signature"]
    if len(found) != 1:
        return None
    text: str = found[0].decode("latin-1")
    return text if SIGNATURE.fullmatch(text) else None
