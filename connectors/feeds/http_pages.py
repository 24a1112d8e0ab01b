"""A collection of an HTTP API: tokens, pages by opaque cursor, a rate limit, a 503 now and then.

    POST {base}/oauth/token                              client credentials → access_token
    GET  {base}/v1/{collection}/position                 {"position": 17}
    GET  {base}/v1/{collection}?since=&until=            {"rows": [{…}], "next": "…" | null}
    GET  {base}/v1/{collection}?cursor=…                 the page after
    GET  {base}/v1/{collection}/totals?since=&until=     {"rows": n, "buckets": [[n, sum], …]}

A position is the number of the collection's last change; what lies between two positions never
changes again. Without `since` a row comes once, as it was at `until`; with it every change comes,
with `_op` and `_seq`. Addresses hold positions and cursors, nothing of a person.

429 is obeyed (Retry-After; when that is long the pull ends, and a later one goes on), 503 and a
broken line are tried again with growing pauses, an expired token is renewed once. Redirects are
not followed: the manifest's host is the only one we speak to.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pyarrow as pa

from connectors.feeds.http_settings import HttpPages
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import OPERATION, SEQUENCE, Totals, TransientFailure, Window

ATTEMPTS = 6
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
PAGE_LIMIT = 64 << 20
"""Bytes of one answer beyond which the source is taken to be wrong."""

_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


class PagesFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> PagesFeed:
        """Open the collection; the first question fetches a token."""
        settings = manifest.feed
        assert isinstance(settings, HttpPages)
        return cls(
            manifest,
            base_url=manifest.secret(secrets, settings.base_url),
            credentials=(
                manifest.secret(secrets, settings.client_id),
                manifest.secret(secrets, settings.client_secret),
            ),
        )

    def __init__(
        self,
        manifest: Manifest,
        *,
        base_url: str,
        credentials: tuple[str, str],
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        assert isinstance(manifest.feed, HttpPages)
        self._manifest = manifest
        self._collection = f"/v1/{manifest.feed.collection}"
        self._credentials = credentials
        self._sleep = sleep
        self._token: str | None = None
        self._notices: Counter[str] = Counter()
        self._client = httpx.Client(
            base_url=base_url, timeout=30, follow_redirects=False, transport=transport
        )

    def plan(self, cursor: str | None) -> Window | None:
        """Everything up to now if there is no cursor yet, else what has changed since."""
        position = _whole(self._ask(f"{self._collection}/position").get("position"))
        if position is None:
            raise self._manifest.wrong("the position is no number")
        if cursor is None:
            return Window("snapshot", None, str(position))
        return Window("changes", cursor, str(position)) if position > int(cursor) else None

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows, a batch a page."""
        schema: pa.Schema | None = None
        query = _bounds(window)
        while True:
            page = self._ask(self._collection, query)
            if rows := self._rows(page):
                schema = schema or self._schema(rows, window)
                yield self._batch(rows, schema)
            cursor = page.get("next")
            if cursor is None:
                return
            if query.get("cursor") == str(cursor):
                raise self._manifest.wrong("a page names the same cursor as the page before")
            query = {"cursor": str(cursor)}

    def totals(self, window: Window) -> Totals:
        """The API's own count and buckets."""
        said = self._ask(f"{self._collection}/totals", _bounds(window))
        rows, pairs = _whole(said.get("rows")), said.get("buckets")
        buckets = tuple((_whole(count), _whole(total)) for count, total in pairs or ())
        if rows is None or len(buckets) != 256:
            raise self._manifest.wrong("the totals are no totals")
        return Totals(
            rows=rows, buckets=tuple((count or 0, total or 0) for count, total in buckets)
        )

    def notices(self) -> Mapping[str, int]:
        """How many 429 and 503 were met, and how often anything was tried again."""
        return dict(self._notices)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET until there is an answer. Raises `TransientFailure` or `PermanentFailure`."""
        renewed = False
        for pause in self._pauses():
            token = self._token or self._fetched()
            headers = {"Authorization": f"Bearer {token}"}
            answer = self._sent("GET", path, params=dict(query or {}), headers=headers)
            if answer is not None and answer.status_code == 401 and not renewed:
                renewed, self._token = True, None
                continue
            if answer is not None and answer.status_code not in _TRY_AGAIN:
                return self._understood(answer)
            self._wait(answer, pause)
        raise self._gave_up()

    def _fetched(self) -> str:
        """A token for our credentials."""
        client_id, client_secret = self._credentials
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        for pause in self._pauses():
            answer = self._sent("POST", "/oauth/token", data=form)
            if answer is not None and answer.status_code not in _TRY_AGAIN:
                self._token = str(self._understood(answer).get("access_token", ""))
                return self._token
            self._wait(answer, pause)
        raise self._gave_up()

    def _sent(self, method: str, path: str, **rest: Any) -> httpx.Response | None:
        """One exchange; None when the line broke."""
        try:
            with self._client.stream(method, path, **rest) as answer:
                return self._received(answer)
        except httpx.TransportError:
            self._notices["line_broken"] += 1
            return None

    def _received(self, answer: httpx.Response) -> httpx.Response:
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > PAGE_LIMIT:
                raise self._manifest.wrong(f"an answer is longer than {PAGE_LIMIT >> 20} MB")
        return httpx.Response(
            answer.status_code, headers=_plain(answer.headers), content=bytes(body)
        )

    def _wait(self, answer: httpx.Response | None, pause: float) -> None:
        if answer is not None:
            self._notices[f"http_{answer.status_code}"] += 1
            pause = _retry_after(answer, pause)
        if pause > LONGEST_PAUSE:
            raise TransientFailure(f"{self._manifest.source}: asks us to wait {pause:.0f} s")
        self._notices["retries"] += 1
        self._sleep(pause)

    def _pauses(self) -> Sequence[float]:
        return [FIRST_PAUSE * 2**attempt for attempt in range(ATTEMPTS)]

    def _gave_up(self) -> TransientFailure:
        return TransientFailure(
            f"{self._manifest.source}: no answer after {ATTEMPTS} tries "
            f"({', '.join(f'{kind} {count}' for kind, count in sorted(self._notices.items()))})"
        )

    def _understood(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code != 200:
            raise self._manifest.wrong(f"the API answers {answer.status_code}")
        try:
            # Numbers stay the text that the source wrote: 89.50 is not 89.5.
            found = json.loads(answer.content, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError):
            raise self._manifest.wrong("the API's answer is no JSON") from None
        if not isinstance(found, dict):
            raise self._manifest.wrong("the API's answer is no object")
        return found

    def _rows(self, page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        rows = page.get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._manifest.wrong("a row is not flat text")
        return rows

    def _schema(self, rows: Sequence[Mapping[str, Any]], window: Window) -> pa.Schema:
        """The first page's columns, the agreed ones first; every later row must have the same."""
        marks = [OPERATION, SEQUENCE] if window.mode == "changes" else []
        agreed = [*self._manifest.source_columns, *marks]
        names = {name for row in rows for name in row}
        ordered = [name for name in agreed if name in names]
        ordered += sorted(names - set(agreed))
        if missing := set(marks) - names:
            raise self._manifest.wrong(f"changes come without {', '.join(sorted(missing))}")
        types = {SEQUENCE: pa.int64()} if marks else {}
        return pa.schema([(name, types.get(name, pa.string())) for name in ordered])

    def _batch(self, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
        if odd := {name for row in rows for name in row} - set(schema.names):
            raise self._manifest.wrong(f"a later page brings new columns: {', '.join(sorted(odd))}")
        try:
            columns = [
                pa.array([_text(row.get(name)) for row in rows], pa.string()).cast(kind)
                for name, kind in zip(schema.names, schema.types, strict=True)
            ]
        except (pa.ArrowException, TypeError, AttributeError):
            raise self._manifest.wrong("a row is not flat text") from None
        return pa.RecordBatch.from_arrays(columns, schema=schema)


def _bounds(window: Window) -> dict[str, str]:
    since = {} if window.mode == "snapshot" else {"since": str(window.start)}
    return {**since, "until": window.end}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise TypeError("a cell holds a list or an object")


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    """Seconds to wait: RFC 9110 10.2.3 allows a number or a date."""
    said = answer.headers.get("Retry-After", "")
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return otherwise


def _plain(headers: httpx.Headers) -> dict[str, str]:
    kept = ("content-type", "retry-after")
    return {name: headers[name] for name in kept if name in headers}
