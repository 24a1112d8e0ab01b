"""The agent: a small process beside an old system that can neither sign nor verify.

    old system ── plain HTTP, loopback ──▶ agent ── signed, proved, TLS ──▶ hub

It takes the hub's own requests (`POST /v1/resources/…/query`, the same JSON) without token, proof
or signature, holds the client's key, signs, verifies the answer and keeps the receipt. What it
cannot verify it does not hand on. It listens on loopback alone, answers no browser, and logs no
content.
"""

from __future__ import annotations

import argparse
import hmac
import ipaddress
import json
import re
import stat
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from connectors.client import AsyncClient, HubUnavailable, ProblemAnswer
from connectors.client_signing import AnswerNotVerified
from schemas.errors import Invalid, NotFound, YizhanError

PORT = 8701
LONGEST = 64 * 1024 * 1024
PASSED_ON = ("content-type", "idempotency-key", "accept")
PASSED_BACK = ("content-type", "location", "retry-after", "ratelimit", "ratelimit-policy")
PATH = re.compile(r"/(?:v1|agent)(?:/[A-Za-z0-9._~:@%-]+)+")
BROWSERS = ("origin", "sec-fetch-site")
PROBLEM = "application/problem+json"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Said:
    """What the agent answers."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Agent:
    """The agent as an ASGI application around an asynchronous client."""

    def __init__(self, client: AsyncClient, secret: str | None = None) -> None:
        self._client = client
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or start and stop."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        said = await self._said(scope, receive)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in said.headers.items()]
        await send({"type": "http.response.start", "status": said.status, "headers": headers})
        await send({"type": "http.response.body", "body": said.content})

    async def _said(self, scope: Scope, receive: Receive) -> Said:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        refused = refusal(scope["method"], path, headers, self._secret)
        if refused is not None:
            return _problem(*refused)
        if path.startswith("/agent/"):
            return self._own(path)
        content = await _read(receive)
        if content is None:
            return _problem(413, "too-large", "the body is too long for the agent")
        query = scope["query_string"].decode("latin-1")
        address = path + (f"?{query}" if query else "")
        return await self._asked(scope["method"], address, headers, content)

    async def _asked(
        self, method: str, address: str, headers: Mapping[str, str], content: bytes
    ) -> Said:
        passed = {name: headers[name] for name in PASSED_ON if name in headers}
        sent = None if method == "GET" else content
        try:
            came = await self._client.call(method, address, sent, passed)
        except AnswerNotVerified as err:
            return _problem(502, err.code, err.message)
        except HubUnavailable as err:
            return _problem(503, "hub-unavailable", err.message)
        except ProblemAnswer as err:  # the hub gave no token
            status = int(err.problem.get("status", 502))
            return Said(status, {"content-type": PROBLEM}, json.dumps(dict(err.problem)).encode())
        kept = {name: came.headers[name] for name in PASSED_BACK if name in came.headers}
        return Said(came.status, kept | {"cache-control": "no-store"}, came.content)

    def _own(self, path: str) -> Said:
        """What the agent says of itself: how it is, and a receipt that it kept."""
        held, receipts = self._client.credentials, self._client.session.receipts
        if path == "/agent/health":
            return _json({"hub": held.base_url, "client": held.client_id, "kid": held.kid})
        name = path.removeprefix("/agent/receipts/")
        try:
            if receipts is None:
                raise NotFound("the agent keeps no receipts")
            return _json(asdict(receipts.find(name)))
        except NotFound as err:
            return _problem(404, err.code, err.message)


def refusal(
    method: str, path: str, headers: Mapping[str, str], secret: str | None
) -> tuple[int, str, str] | None:
    """Why the agent does not serve a request, before anything of it is read; None if it does."""
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    # A page in a browser on this machine can reach loopback: by a name of its own that leads
    # here (DNS rebinding), or by a form. Neither has this host and no origin.
    if not is_loopback(host) or any(name in headers for name in BROWSERS):
        return 403, "not-for-browsers", "the agent answers programs of this machine alone"
    shown = headers.get("authorization", "").removeprefix("Bearer ")
    if secret is not None and not hmac.compare_digest(shown.encode(), secret.encode()):
        return 401, "secret-missing", "send `Authorization: Bearer …` with the agent's secret"
    if method not in ("GET", "POST"):
        return 405, "wrong-method", "the agent takes GET and POST"
    if path == "/v1/token" or not PATH.fullmatch(path) or ".." in path:
        return 404, "not-found", "the agent passes on what is below /v1/"
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    credentials: Path, host: str, port: int, receipts: Path | None, secret: Path | None
) -> None:
    """Serve until told to stop. Raises `Invalid` when the key or the address is open to others."""
    if not is_loopback(host):
        raise Invalid(f"the agent holds a key and speaks plain HTTP: not on {host}, on loopback")
    check_private(credentials)
    told = None
    if secret is not None:
        check_private(secret)
        told = secret.read_text().strip()
    client = AsyncClient.open(credentials, receipts=receipts)
    uvicorn.run(
        Agent(client, told),
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
    )


def check_private(path: Path) -> None:
    """A file with a secret is its owner's alone. Raises `Invalid` or `NotFound`."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Invalid(f"others may read {path}: chmod 600 {path}")


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read(receive: Receive) -> bytes | None:
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LONGEST:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _json(value: object) -> Said:
    return Said(200, {"content-type": "application/json"}, json.dumps(value).encode())


def _problem(status: int, code: str, message: str) -> Said:
    told = {
        "type": f"urn:yizhan:problem:{code}",
        "status": status,
        "code": code,
        "detail": message,
        "blame": "client" if status < 500 else "exchange",
        "retry": status >= 500,
    }
    return Said(status, {"content-type": PROBLEM}, json.dumps(told).encode())


def main() -> None:
    """`python -m connectors.agent`, for a machine that has the SDK and nothing else of ours."""
    parser = argparse.ArgumentParser(description="Sign and verify for an old system.")
    parser.add_argument("--credentials", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--receipts", type=Path)
    parser.add_argument("--secret-file", type=Path)
    told = parser.parse_args()
    try:
        serve(told.credentials, told.host, told.port, told.receipts, told.secret_file)
    except YizhanError as err:
        raise SystemExit(err.message) from None


if __name__ == "__main__":
    main()
