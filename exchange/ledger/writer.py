"""Group commit: one task writes the entries of all calls that wait, in one transaction a flush.

`write` returns only when the entry is on disk (`synchronous_commit` is on for this connection), so
an answer whose call awaited it cannot outlive its evidence. While one flush waits for the disk the
next calls gather: the more concurrent the calls, the cheaper each. It can only insert.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from exchange.ledger.entries import Entry
from exchange.problems import LedgerUnavailable

INSERT = """
WITH come AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::bytea[], $4::bytea[], $5::bytea[],
                         $6::text[]) AS c (receipt, at, subject, body, signature, missed)
), written AS (
    INSERT INTO hub.ledger_entry (receipt, at, subject, body, signature)
    SELECT receipt, at, subject, body, signature FROM come
    ON CONFLICT DO NOTHING
)
INSERT INTO hub.miss (receipt, client, day)
SELECT receipt, missed, (at AT TIME ZONE 'Asia/Shanghai')::date FROM come
WHERE missed IS NOT NULL ON CONFLICT DO NOTHING
"""
MOST_AT_ONCE = 512
MOST_WAITING = 8192
PATIENCE = 5.0  # seconds that a call waits for its evidence before it is refused

BROKEN = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

log = logging.getLogger(__name__)
Connect = Callable[[], Awaitable["asyncpg.Connection"]]
Waiting = tuple[Entry, "asyncio.Future[None]"]


class Writer:
    """The ledger's one writer in this process."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connection: asyncpg.Connection | None = None
        self._waiting: deque[Waiting] = deque()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.flushes = 0
        self.written = 0

    async def write(self, entry: Entry) -> None:
        """Return when the entry is durable. Raises `LedgerUnavailable`."""
        if len(self._waiting) >= MOST_WAITING:
            raise _unavailable()
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((entry, done))
        self._wake.set()
        try:
            await asyncio.wait_for(done, PATIENCE)
        except TimeoutError:
            raise _unavailable() from None

    async def run(self) -> None:
        """Flush until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._flush(self._next())
        finally:
            for _, done in self._waiting:
                _fail(done)
            if self._connection is not None:
                self._connection.terminate()

    def _next(self) -> list[Waiting]:
        batch = list[Waiting]()
        while self._waiting and len(batch) < MOST_AT_ONCE:
            waiting = self._waiting.popleft()
            if not waiting[1].cancelled():  # nobody waits for it any more: it was refused as late
                batch.append(waiting)
        return batch

    async def _flush(self, batch: Sequence[Waiting]) -> None:
        if not batch:
            return
        try:
            await self._insert([entry for entry, _ in batch])
        except BaseException as err:
            for _, done in batch:
                _fail(done)
            if not isinstance(err, Exception):
                raise
            log.error("the ledger cannot be written: %s", type(err).__name__)
            await asyncio.sleep(0.05)
            return
        self.flushes += 1
        self.written += len(batch)
        for _, done in batch:
            if not done.done():
                done.set_result(None)

    async def _insert(self, entries: Sequence[Entry]) -> None:
        columns = (
            [entry.receipt for entry in entries],
            [entry.at for entry in entries],
            [entry.subject for entry in entries],
            [entry.body for entry in entries],
            [entry.signature for entry in entries],
            [entry.missed for entry in entries],
        )
        try:
            await self._execute(columns)
        except BROKEN:
            # Whether that commit happened is unknown: the receipt's unique row makes trying safe.
            await self._execute(columns)

    async def _execute(self, columns: tuple[object, ...]) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        try:
            await self._connection.execute(INSERT, *columns, timeout=PATIENCE)
        except BaseException:
            self._connection.terminate()
            self._connection = None
            raise


def _fail(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_exception(_unavailable())


def _unavailable() -> LedgerUnavailable:
    return LedgerUnavailable(
        "the evidence of this call cannot be written, so it is not answered",
        zh="无法写入调用证据，本次调用不予答复",
    )
