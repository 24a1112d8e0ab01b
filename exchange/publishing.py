"""What the vault publishes for verifiers: status lists, the license log, the trust bundle.

Signed on demand from what is committed, and kept until that changes, so that a revoke is seen at
the next question. Nothing published here is personal: bits, salted digests, certificates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import psycopg

from exchange.database import without_detail
from license_vault import checkpoints, log, status_list
from license_vault.log import TilePath
from license_vault.record import log_origin, status_list_address
from license_vault.signer.client import Signer, ToSign
from license_vault.trust import TrustBundle
from schemas import checkpoint
from schemas.errors import NotFound, Refused, Unavailable

# A token is signed again when half of its time to live is over, so that it never reaches anybody
# with less than that left.
FRESH = timedelta(seconds=status_list.TTL_SECONDS // 2)

ATTEMPTS = 10

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, as a clock gives it."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class SignedList:
    """A status list as served, of one version of its bits."""

    token: str
    version: int
    signed_at: datetime


@dataclass
class Publisher:
    """One a process. The caches are a convenience: losing them costs a signature."""

    pool: asyncpg.Pool
    connect: Callable[[], psycopg.Connection]
    signer: Signer
    public_url: str
    clock: Clock = utc_now
    _lists: dict[int, SignedList] = field(default_factory=dict)
    _checkpoint: checkpoints.SignedHead | None = None
    _signing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def status_list(self, number: int) -> SignedList:
        """The signed list `number`, as committed now. Raises `NotFound` or `Unavailable`."""
        version = await self.pool.fetchval(
            "SELECT version FROM vault.status_list WHERE id = $1", number
        )
        if version is None:
            raise NotFound("there is no such status list", zh="没有这个状态列表")
        held = self._lists.get(number)
        if held is None or held.version != version or self.clock() - held.signed_at > FRESH:
            async with self._signing:
                held = self._lists[number] = await self._sign_list(number)
        return held

    async def checkpoint(self) -> str:
        """The signed head over every entry that is committed now."""
        if self._checkpoint is None or self._checkpoint.size != await self._log_size():
            async with self._signing:
                self._checkpoint = await asyncio.to_thread(self._head)
        return self._checkpoint.note

    async def tile(self, path: TilePath) -> bytes:
        """A tile of hashes or of entries. Raises `NotFound` for one the log does not have yet."""
        if log.tile_width(path, await self._log_size()) < path.width:
            raise NotFound("there is no such tile yet", zh="日志中还没有这个数据块")
        first = path.index * log.TILE_WIDTH
        last = first + path.width - 1
        if path.level is None:
            rows = await self.pool.fetch(
                'SELECT entry FROM vault.log_entry WHERE "index" BETWEEN $1 AND $2'
                ' ORDER BY "index"',
                first,
                last,
            )
            return log.entries_tile([bytes(row[0]) for row in rows])
        rows = await self.pool.fetch(
            'SELECT "index", hash FROM vault.log_node WHERE level = $1'
            ' AND "index" BETWEEN $2 AND $3',
            8 * path.level,
            first,
            last,
        )
        nodes = {(8 * path.level, row[0]): bytes(row[1]) for row in rows}
        return log.tile(path.level, path.index, path.width, lambda *at: nodes[at])

    async def trust(self, *, lists: bool = True) -> TrustBundle:
        """What a verifier of this hub's licenses should trust, dated now."""
        certificates = await asyncio.to_thread(self.signer.certificates)
        origin = log_origin(self.public_url)
        tokens = {}
        if lists:
            for row in await self.pool.fetch("SELECT id FROM vault.status_list ORDER BY id"):
                address = status_list_address(self.public_url, row[0])
                tokens[address] = (await self.status_list(row[0])).token
        return TrustBundle(
            hub=self.public_url,
            roots=(certificates.root,),
            log_key=checkpoint.vkey(origin, certificates.checkpoint_key),
            made_at=self.clock(),
            status_lists=tokens,
        )

    async def proof(self, license_id: str) -> bytes | None:
        """The log proof that was stored beside a license, if there is one."""
        found = await self.pool.fetchval(
            "SELECT bytes FROM vault.file WHERE license_id = $1 AND form = 'proof'", license_id
        )
        return bytes(found) if found is not None else None

    async def _log_size(self) -> int:
        size = await self.pool.fetchval('SELECT max("index") + 1 FROM vault.log_entry')
        return int(size or 0)

    async def _sign_list(self, number: int) -> SignedList:
        for _ in range(ATTEMPTS):
            try:
                return await self._try_to_sign_list(number)
            except Refused as err:
                # The signer looks for itself, a moment later: somebody changed a slot in between.
                if err.rule != "status-list-differs":
                    raise
        raise Unavailable("the status list changes faster than it can be signed")

    async def _try_to_sign_list(self, number: int) -> SignedList:
        async with (
            self.pool.acquire() as conn,
            # Version and bits of one moment, or a revoke between them would be missed by the cache.
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            version = await conn.fetchval(
                "SELECT version FROM vault.status_list WHERE id = $1", number
            )
            slots = await conn.fetch(
                'SELECT "index", value FROM vault.status_slot WHERE list = $1 AND value <> 0',
                number,
            )
        at = self.clock()
        token = await asyncio.to_thread(self._list_token, number, slots, at)
        return SignedList(token, version, at)

    def _list_token(self, number: int, slots: list[tuple[int, int]], at: datetime) -> str:
        chain = self.signer.certificates().status_list
        address = status_list_address(self.public_url, number)
        packed = status_list.pack((index, value) for index, value in slots)
        tbs = status_list.token_tbs(address, packed, at=at, x5c=chain)
        signature = self.signer.sign("status-list", [ToSign(str(number), tbs)])[0]
        return status_list.assemble(tbs, signature)

    def _head(self) -> checkpoints.SignedHead:
        with closing(self.connect()) as conn, without_detail():
            return checkpoints.current(conn, self.signer, self.public_url)
