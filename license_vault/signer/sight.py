"""What the signer sees for itself, as a read-only database role: digests and bits, no records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from license_vault.signer.checks import Reserved
from schemas import merkle
from schemas.errors import Invalid, Refused, Unavailable

# Which table holds the complete nodes of which tree.
TREES = {
    "log": sql.Identifier("vault", "log_node"),
    "ledger": sql.Identifier("hub", "ledger_node"),
}
_RESERVED = "SELECT id, state, pdf_digest, sd_jwt_digest FROM vault.sealing WHERE id = ANY(%s)"
_SLOTS = 'SELECT "index", value FROM vault.status_slot WHERE list = %s AND value <> 0'
_NODES = sql.SQL(
    'SELECT n.level, n."index", n.hash FROM unnest(%s::int[], %s::bigint[]) AS w(level, i)'
    ' JOIN {} n ON n.level = w.level AND n."index" = w.i'
)


class Sight:
    """A read-only connection, opened when needed and again when it broke. Not shared by threads."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection | None = None

    def reserved(self, ids: Sequence[str]) -> Mapping[str, Reserved]:
        """The reservations among `ids` that exist."""
        try:
            wanted = [UUID(each) for each in ids]
        except ValueError as err:
            raise Invalid("a reservation is named by a UUID") from err
        rows = self._rows(_RESERVED, (wanted,))
        return {str(row[0]): Reserved(row[1], bytes(row[2]), bytes(row[3])) for row in rows}

    def slots(self, number: int) -> Mapping[int, int]:
        """The slots of a status list that are not 0."""
        return dict(self._rows(_SLOTS, (number,)))

    def nodes(self, tree: str, *sizes: int) -> Callable[[int, int], bytes]:
        """The nodes needed to judge heads of `tree` at these sizes, fetched in one question."""
        if tree not in TREES:
            raise Refused("there is no such tree", rule="unknown-tree")
        wanted = sorted(_needed(sizes))
        levels, indexes = [level for level, _ in wanted], [index for _, index in wanted]
        rows = self._rows(_NODES.format(TREES[tree]), (levels, indexes))
        found = {(level, index): bytes(node) for level, index, node in rows}

        def node(level: int, index: int) -> bytes:
            try:
                return found[level, index]
            except KeyError:
                raise Refused("the tree has fewer entries than that", rule="root-differs") from None

        return node

    def _rows(self, query: Any, values: Sequence[Any]) -> list[Any]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
                self._connection.execute("SET default_transaction_read_only = on")
            return self._connection.execute(query, values).fetchall()
        except psycopg.OperationalError as err:
            self.close()
            raise Unavailable("the signer cannot reach the database") from err

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _needed(sizes: Sequence[int]) -> set[tuple[int, int]]:
    """Every node that a root and a consistency path between these sizes ask for."""
    asked: set[tuple[int, int]] = set()

    def note(level: int, index: int) -> bytes:
        asked.add((level, index))
        return bytes(merkle.HASH_SIZE)

    for size in sizes:
        merkle.frontier(size, note)
    if len(sizes) > 1 and min(sizes) < max(sizes):
        merkle.consistency_path(min(sizes), max(sizes), note)
    return asked
