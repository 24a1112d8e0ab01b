"""The land registry's API, a process of its own.

    python -m connectors.testkit.city.estate --port 8101 --data FOLDER

    POST /oauth/token                            client credentials, five minutes
    GET  /v1/{units|rights}/position             the number of the last change
    GET  /v1/{units|rights}?since=&until=        the first page; then ?cursor=…
    GET  /v1/{units|rights}/totals?since=&until= count and checksum of the same stretch
    GET  /v2/{parcels|buildings}?page=&size=     numbered pages, each with a link to the next
    POST /clerk/v1/transfers                     a clerk enters a sale (own token)
    GET  /health

It behaves as such systems do, and always alike: a token may take five pages and must then rest a
second (429, Retry-After), and its third question is met by a 503. Numbers of people and units are
in bodies alone; addresses are not logged.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.testkit.city.estate_access import Access
from connectors.testkit.city.estate_store import COLLECTIONS, LAND, Refused, Store, Stretch

TOKEN_SECONDS = 300
PAGES_IN_A_ROW = 5
REST_SECONDS = 1
BUSY_AT = 3
BUSY_EVERY = 29
LARGEST_PAGE = 2000


@dataclass
class Guest:
    """A token, what it may still do, and what it has asked."""

    until: float
    questions: int = 0
    pages: int = 0
    rests_until: float | None = None

    def check_not_busy(self) -> None:
        """Every now and then the registry has no time (503)."""
        self.questions += 1
        if self.questions == BUSY_AT or self.questions % BUSY_EVERY == 0:
            raise HTTPException(503)

    def take_page(self, now: float) -> None:
        """Count a page; after some in a row the token must rest (429)."""
        if self.pages < PAGES_IN_A_ROW:
            self.pages += 1
            return
        self.rests_until = self.rests_until or now + REST_SECONDS
        if now < self.rests_until:
            raise HTTPException(429, headers={"Retry-After": str(REST_SECONDS)})
        self.pages, self.rests_until = 1, None


@dataclass
class Desk:
    """The API's endpoints over the registry's store."""

    store: Store
    access: Access
    clock: Callable[[], float] = time.monotonic
    guests: dict[str, Guest] = field(default_factory=dict)

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/oauth/token", self.token, methods=["POST"]),
                Route("/v1/{collection}", self.page),
                Route("/v1/{collection}/position", self.position),
                Route("/v1/{collection}/totals", self.totals),
                Route("/v2/{collection}", self.numbered),
                Route("/clerk/v1/transfers", self.transfer, methods=["POST"]),
            ]
        )

    async def health(self, _request: Request) -> Response:
        """It runs."""
        return JSONResponse({"ok": True})

    async def token(self, request: Request) -> Response:
        """RFC 6749 4.4, client credentials in the body."""
        form = await request.form()
        known = hmac.compare_digest(
            f"{form.get('client_id')}:{form.get('client_secret')}".encode(),
            f"{self.access.client_id}:{self.access.client_secret}".encode(),
        )
        if not known or form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "invalid_client"}, 401)
        token, now = secrets.token_urlsafe(24), self.clock()
        self.guests = {old: guest for old, guest in self.guests.items() if guest.until > now}
        self.guests[token] = Guest(now + TOKEN_SECONDS)
        said = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return JSONResponse(said)

    async def position(self, request: Request) -> Response:
        """How far the collection has come."""
        self._guest(request)
        return JSONResponse({"position": self.store.position(_collection(request))})

    async def page(self, request: Request) -> Response:
        """A page, and the cursor of the next."""
        guest, collection = self._guest(request), _collection(request)
        guest.check_not_busy()
        guest.take_page(self.clock())
        stretch, after = self._asked(request, collection)
        size = self.store.page_size(collection)
        rows, last = await run_in_threadpool(self.store.page, stretch, after, size)
        following = None if last is None else self._cursor(stretch, last)
        return JSONResponse({"rows": rows, "next": following})

    async def numbered(self, request: Request) -> Response:
        """A page by its number; the Link header leads to the next (RFC 8288)."""
        guest, collection = self._guest(request), _collection(request, LAND)
        guest.take_page(self.clock())
        page, size = _numbered(request)
        rows, total = await run_in_threadpool(self.store.listed, collection, page, size)
        said = {"total": total, "page": page, "list": rows}
        if page * size >= total:
            return JSONResponse(said)
        following = f"</v2/{collection}?page={page + 1}&size={size}>; rel=next"
        return JSONResponse(said, headers={"Link": following})

    async def totals(self, request: Request) -> Response:
        """Count and checksum of a stretch."""
        guest = self._guest(request)
        guest.check_not_busy()
        stretch, _ = self._asked(request, _collection(request))
        rows, buckets = await run_in_threadpool(self.store.totals, stretch)
        return JSONResponse({"rows": rows, "buckets": buckets})

    async def transfer(self, request: Request) -> Response:
        """A sale, entered by a clerk."""
        if not hmac.compare_digest(_bearer(request).encode(), self.access.clerk_token.encode()):
            raise HTTPException(401)
        sale = _sale(await request.body())
        try:
            certificate = await run_in_threadpool(self.store.transfer, *sale)
        except Refused as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        return JSONResponse({"certificate_no": certificate}, 201)

    def _guest(self, request: Request) -> Guest:
        guest = self.guests.get(_bearer(request))
        if guest is None or guest.until <= self.clock():
            raise HTTPException(401)
        return guest

    def _asked(self, request: Request, collection: str) -> tuple[Stretch, int]:
        """The stretch and where in it to go on."""
        query = request.query_params
        try:
            if "cursor" in query:
                said = self._opened(query["cursor"])
                return Stretch(collection, said["since"], said["until"]), said["after"]
            since = int(query["since"]) if "since" in query else None
            return Stretch(collection, since, int(query["until"])), since or 0
        except (KeyError, ValueError):
            raise HTTPException(400) from None

    def _cursor(self, stretch: Stretch, after: int) -> str:
        """Opaque to the guest, and of no use when it is altered."""
        said = {"since": stretch.since, "until": stretch.until, "after": after}
        body = json.dumps(said).encode()
        return base64.urlsafe_b64encode(self._seal(body) + body).decode()

    def _opened(self, cursor: str) -> dict[str, Any]:
        sealed = base64.urlsafe_b64decode(cursor)
        if not hmac.compare_digest(sealed[:16], self._seal(sealed[16:])):
            raise ValueError("not a cursor of ours")
        opened: dict[str, Any] = json.loads(sealed[16:])
        return opened

    def _seal(self, body: bytes) -> bytes:
        return hmac.digest(self.access.cursor_key.encode(), body, hashlib.sha256)[:16]


def _bearer(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _collection(request: Request, known: tuple[str, ...] = COLLECTIONS) -> str:
    name = str(request.path_params["collection"])
    if name not in known:
        raise HTTPException(404)
    return name


def _numbered(request: Request) -> tuple[int, int]:
    try:
        asked = request.query_params
        page, size = int(asked.get("page", 1)), int(asked.get("size", LARGEST_PAGE))
    except ValueError:
        raise HTTPException(400) from None
    if page < 1 or not 1 <= size <= LARGEST_PAGE:
        raise HTTPException(400)
    return page, size


def _sale(body: bytes) -> tuple[str, str, str, datetime]:
    try:
        said = json.loads(body)
        at = datetime.fromisoformat(said["at"])
        sale = said["unit_no"], said["buyer_id"], said["buyer_name"]
        if at.tzinfo is None or not all(isinstance(part, str) and part for part in sale):
            raise ValueError
        if len(sale[1]) != 18:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise HTTPException(400) from None
    return *sale, at


def main() -> None:
    """Serve a folder that `open_registry` has filled, until a signal."""
    parser = argparse.ArgumentParser(prog="connectors.testkit.city.estate")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    desk = Desk(Store(asked.data), Access.read(asked.data))
    uvicorn.run(
        desk.app(), host="127.0.0.1", port=asked.port, access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
