"""The running hub: its parts wired together once, and taken apart again.

Two kinds of connections, on purpose. The pool that reads and claims does not wait for the disk
(`synchronous_commit` off); the ledger's connection does. A claim or a proof's unique row is earlier
in the same write-ahead log than the ledger entry of its call, so the flush that makes the entry
durable, without which nothing is answered, makes them durable too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import orjson
import psycopg

from exchange import keyring
from exchange.answering import Answering
from exchange.database import Role, without_detail
from exchange.keyring import Keyring
from exchange.ledger import checkpoints, integrator
from exchange.ledger.writer import Writer
from exchange.settings import Settings
from exchange.signatures import Evidence
from license_vault.signer.client import Signer, SignerClient
from schemas.errors import Unavailable, YizhanError

CONNECTIONS = 12
STATEMENT_SECONDS = 5
PLACING_SECONDS = 0.25
SIGNING_SECONDS = 30.0
PURGING_SECONDS = 30.0
KEYS_SECONDS = 2.0
PURGES = (
    "DELETE FROM hub.seen WHERE expires_at < now()",
    "DELETE FROM hub.miss WHERE day < (now() AT TIME ZONE 'Asia/Shanghai')::date - 1",
)

ANSWERING = {
    "timezone": "UTC",
    "synchronous_commit": "off",
    # Every statement here finds few rows by key: planning it anew each time costs more than it.
    "plan_cache_mode": "force_generic_plan",
}

log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Hub:
    """What a route may use, as `request.app.state.hub`."""

    settings: Settings
    pool: asyncpg.Pool
    answering: Answering
    ledger: Writer
    signer: Signer
    token_keys: Keyring
    answer_keys: Keyring
    evidence: Evidence

    @property
    def ledger_origin(self) -> str:
        """The name that the ledger's checkpoints carry."""
        return checkpoints.origin(self.settings.public_url)

    async def with_ledger(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        """Run `work` in a thread on a connection of the ledger role; it opens its transactions.

        Raises what `work` raises, and `Unavailable` without the details of a database error.
        """

        def run() -> Result:
            try:
                connect = self.settings.database.connect
                with contextlib.closing(connect(Role.LEDGER, autocommit=True)) as conn:
                    return work(conn)
            except psycopg.Error as err:
                raise Unavailable(f"the ledger does not answer: {type(err).__name__}") from None

        return await asyncio.to_thread(run)

    async def with_clerk(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        """Run `work` in a thread as one transaction of the clerk's role; durable when it returns.

        Raises what `work` raises, and `Invalid` or `Unavailable` without a database error's values.
        """

        def run() -> Result:
            connect = self.settings.database.connect
            with without_detail(), contextlib.closing(connect(Role.CLERK)) as conn:
                result = work(conn)
                conn.commit()
                return result

        return await asyncio.to_thread(run)


@asynccontextmanager
async def open_hub(settings: Settings, signer: Signer | None = None) -> AsyncIterator[Hub]:
    """Open the pool, start the ledger's writer and integrator; at the end stop them."""
    dsn = settings.database.dsn(Role.HUB)
    pool = await asyncpg.create_pool(
        dsn,
        min_size=2,
        max_size=CONNECTIONS,
        init=_speak_json,
        reset=_no_reset,
        command_timeout=STATEMENT_SECONDS,
        server_settings=ANSWERING,
    )

    async def connect_ledger() -> asyncpg.Connection:
        durable = {"timezone": "UTC", "synchronous_commit": "on"}
        return await asyncpg.connect(dsn, server_settings=durable, timeout=STATEMENT_SECONDS)

    ledger = Writer(connect_ledger)
    hub = Hub(
        settings=settings,
        pool=pool,
        answering=Answering(pool, ledger, settings.secret("subject.key")),
        ledger=ledger,
        signer=signer or _signer(settings),
        token_keys=Keyring(settings, keyring.TOKENS),
        answer_keys=Keyring(settings, keyring.ANSWERS),
        evidence=Evidence(settings.secret("evidence.key")),
    )
    tasks = [
        asyncio.create_task(ledger.run()),
        asyncio.create_task(_place_for_ever(settings)),
        asyncio.create_task(_sign_for_ever(hub)),
        asyncio.create_task(_purge_for_ever(pool)),
        asyncio.create_task(_look_for_keys(hub)),
    ]
    try:
        yield hub
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pool.terminate()


def _signer(settings: Settings) -> SignerClient:
    return SignerClient(settings.signer_socket, "hub", settings.secret("signer-hub"), patience=2.0)


async def _speak_json(conn: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await conn.set_type_codec(
            name,
            schema="pg_catalog",
            encoder=lambda value: orjson.dumps(value).decode(),
            decoder=orjson.loads,
        )


async def _no_reset(_: Any) -> None:
    """Nothing here changes a session, so nothing has to be put back at each return to the pool."""


async def _place_for_ever(settings: Settings) -> None:
    """Integrate, on one connection that is made again when it breaks."""
    while True:
        try:
            await _place_until_broken(settings)
        except (psycopg.Error, Unavailable) as err:
            log.warning("the ledger's integrator waits: %s", type(err).__name__)
            await asyncio.sleep(1)


async def _place_until_broken(settings: Settings) -> None:
    connection = await asyncio.to_thread(settings.database.connect, Role.LEDGER, autocommit=True)
    with contextlib.closing(connection):
        while True:
            placed = await asyncio.to_thread(integrator.place, connection)
            if placed < integrator.MOST_AT_ONCE:
                await asyncio.sleep(PLACING_SECONDS)


async def _sign_for_ever(hub: Hub) -> None:
    """Have a grown ledger signed now and then, so that little could be cut off its end unseen."""
    while True:
        await asyncio.sleep(SIGNING_SECONDS)
        try:
            await hub.with_ledger(
                lambda conn: checkpoints.current(conn, hub.ledger_origin, hub.signer)
            )
        except YizhanError as err:
            log.warning("the ledger's head is not signed now: %s", err.code)


async def _look_for_keys(hub: Hub) -> None:
    """Know a key that was made before it signs, in every process."""
    while True:
        await asyncio.sleep(KEYS_SECONDS)
        for each in (hub.token_keys, hub.answer_keys):
            with contextlib.suppress(OSError, ValueError):
                each.refresh()


async def _purge_for_ever(pool: asyncpg.Pool) -> None:
    """Forget proofs that are too old to be accepted again anyway."""
    while True:
        await asyncio.sleep(PURGING_SECONDS)
        with contextlib.suppress(asyncpg.PostgresError, OSError, TimeoutError):
            for purge in PURGES:
                await pool.execute(purge)
