"""A service of a national-style exchange platform as a source: signed headers, numbered pages.

The platform's proxy proves who asks, and checks authorisation, frequency, count and volume; the
department behind it filters what it gives. Which headers, codes and words a platform uses is data
(`dialects.yaml`), and what of it is unproved is marked there.

Where the manifest names the column of last change, later pulls ask for what changed since, looking
back a little; such changes know no deletions, so have the service read whole now and then (leave
`changed` out in a second source of it), or leave them to the nightly audit. Without the column
every pull is a whole snapshot; its pages shift when the service changes meanwhile, which the total
and the rows show, so it is never resumed half-way but read again.

Conditions travel in the body; the address holds nothing of a person. It calls services that give
rows; it does not file anything with the platform.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from connectors.feeds import http_windows as windows
from connectors.feeds.dialects import Dialect, dialect
from connectors.feeds.exchange_keys import SignedHeaders
from connectors.feeds.http_json import MISSING, Unreadable, at, parsed, whole
from connectors.feeds.http_pages import ATTEMPTS, SKEW_S
from connectors.feeds.http_paging import Pages, Said, Turn
from connectors.feeds.http_patience import Patience
from connectors.feeds.http_reading import Count, Reading
from connectors.feeds.http_records import Batches, Changes, Form, Record, table_of
from connectors.feeds.http_settings import ByNumber, ProvincialExchange
from connectors.feeds.http_wire import Answer, Line, Question
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Totals, TransientFailure, Window


class ExchangeFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> ExchangeFeed:
        """Open the service; nothing is asked yet. Raises `PermanentFailure` or `Invalid`."""
        return cls(manifest, secrets)

    def __init__(
        self,
        manifest: Manifest,
        secrets: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        assert isinstance(manifest.feed, ProvincialExchange)
        self._manifest = manifest
        self._settings = manifest.feed
        self._dialect = dialect(self._settings.dialect, self._settings.says)
        self._sleep = sleep
        self._keys = SignedHeaders(
            manifest,
            self._dialect,
            service=self._settings.service,
            requester=manifest.secret(secrets, self._settings.requester),
            app_key=manifest.secret(secrets, self._settings.app_key),
        )
        self._line = Line(
            manifest, self._settings, secrets, self._keys, attempts=ATTEMPTS, sleep=sleep
        )
        self._paging = _paging(self._settings, self._dialect)
        self._count = Count(manifest.source)

    def plan(self, cursor: str | None) -> Window | None:
        """All of the service, or what changed after `cursor` by the platform's clock."""
        now = datetime.now(UTC)
        if self._settings.changed is None:
            return windows.snapshot(now)
        far = Window("changes" if cursor else "snapshot", cursor, windows.written(now))
        answer = self._called(self._pages().first(), far)
        theirs = answer.date or now
        if abs((theirs - now).total_seconds()) > SKEW_S:
            self._line.note("clock_skew")
        window = windows.between_moments(self._manifest, cursor, theirs)
        return None if cursor and not self._records(answer.document) else window

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows, a batch a page."""
        with self._count.reading():
            reading = self._reading(window)
            yield from reading.rows()
            self._count.counts(reading.watch.rows, reading.watch.total)
            if self._count.own:
                self._line.note("own_count")

    def totals(self, window: Window) -> Totals:
        """The total that the service told with its pages."""
        return self._count.totals()

    def sample(self, limit: int) -> pa.Table:
        """The first rows."""
        window = windows.snapshot(datetime.now(UTC))
        return table_of(self._reading(window).rows(), limit, self._manifest)

    def notices(self) -> Mapping[str, int]:
        """What was met and survived: codes, renewed keys, rests."""
        return self._line.notices()

    def close(self) -> None:
        """Close the connections."""
        self._count.close()
        self._line.close()

    def _reading(self, window: Window) -> Reading:
        changes = None
        if window.mode == "changes":
            changes = Changes(self._manifest, None, {}, None)
        form = Form(self._settings.fields, self._settings.ignores, self._settings.omits_null)
        return Reading(
            self._manifest,
            self._paging,
            self._pages(),
            lambda turn: self._page(turn, window),
            Batches(self._manifest, form),
            changes,
        )

    def _pages(self) -> Pages:
        return Pages(self._manifest, self._paging, {})

    def _page(self, turn: Turn, window: Window) -> tuple[Sequence[Record], Said]:
        document = self._called(turn, window).document
        records = self._records(document)
        return records, Said(len(records), document)

    def _called(self, turn: Turn, window: Window) -> Answer:
        """Call the service until it gives rows. Raises what its codes mean."""
        patience = Patience(self._settings.patience_s, ATTEMPTS)
        fresh = False
        while True:
            answer = self._line.ask(self._question(turn, window))
            code = str(at(answer.document, self._dialect.code))[:40]
            if code in self._dialect.good:
                return self._unfolded(answer)
            self._line.note(f"code_{code}")
            meaning = self._dialect.errors.get(code)
            if meaning == "renew" and not fresh:
                fresh = True
                if self._keys.renew():
                    continue
            if meaning in (None, "refused"):
                raise self._manifest.wrong(self._refusal(code, meaning))
            pause = patience.pause(None)
            if pause is None:
                raise TransientFailure(
                    f"{self._manifest.source}: the platform answers code {code} to every one of "
                    f"{ATTEMPTS} tries; check our clock and the application key if it goes on"
                )
            self._sleep(pause)

    def _question(self, turn: Turn, window: Window) -> Question:
        body = self._dialect.body
        numbers = {name: int(value) for name, value in turn.query.items()}
        where = self._where(window)
        said = {**body.fixed, **numbers, body.where: [where] if where else []}
        path = self._dialect.call.replace("{service}", self._settings.service)
        return Question(path, method="POST", json=said)

    def _where(self, window: Window) -> list[dict[str, str]]:
        """The conditions that must all hold."""
        body, settings = self._dialect.body, self._settings
        found = [body.condition(*each) for each in self._fixed()]
        if settings.changed is None:
            return found
        if window.start is not None:
            since = windows.read(window.start) - timedelta(seconds=settings.look_back_s)
            found.append(body.condition(settings.changed, body.from_, self._spoken(since)))
        until = windows.read(window.end)
        found.append(body.condition(settings.changed, body.to, self._spoken(until)))
        return found

    def _fixed(self) -> list[tuple[str, str, str]]:
        equals = self._dialect.body.equals
        return [(column, equals, value) for column, value in self._settings.where.items()]

    def _spoken(self, moment: datetime) -> str:
        return windows.spoken(moment, self._settings.form, self._settings.zone)

    def _unfolded(self, answer: Answer) -> Answer:
        """Some platforms put the data in as text: open it."""
        data = at(answer.document, "data")
        if not isinstance(data, str):
            return answer
        try:
            return Answer(
                answer.status, answer.headers, {**answer.document, "data": parsed(data.encode())}
            )
        except Unreadable as what:
            raise self._manifest.wrong(f"the data of an answer {what}") from None

    def _records(self, document: Any) -> list[Record]:
        found = at(document, self._dialect.records)
        if found in (MISSING, None) and self._dialect.total and _none(document, self._dialect):
            return []
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self._manifest.wrong(f"{self._dialect.records} holds no list of objects")
        return found

    def _refusal(self, code: str, meaning: str | None) -> str:
        if meaning == "refused":
            return (
                f"the platform answers {code}: our authorisation does not list service "
                f"{self._settings.service}"
            )
        return f"the platform answers code {code}, which dialect {self._settings.dialect} lacks"


def _none(document: Any, words: Dialect) -> bool:
    return whole(at(document, str(words.total))) == 0


def _paging(settings: ProvincialExchange, words: Dialect) -> ByNumber:
    return ByNumber(
        by="number",
        parameter=words.body.page,
        size_parameter=words.body.size,
        size=settings.page_size,
        total=words.total,
        may_repeat=settings.may_repeat,
    )
