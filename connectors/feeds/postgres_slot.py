"""Logical replication slots of PostgreSQL, asked in SQL: made, looked at, peeked into, moved on.

A slot keeps every change since it was made, until whoever reads it says how far it has come. Those
of a source are numbered, so that a new one can be made while the old one still counts.
"""

# ruff: noqa: S608 - names come from a manifest and are quoted.
from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.feeds.manifest import Manifest
from connectors.feeds.sql_database import Database
from connectors.feeds.sql_dialects import literal
from connectors.feeds.sql_settings import PostgresReplication

_CURSOR = re.compile(r"^(\d+):([0-9A-F]+/[0-9A-F]+)$")


@dataclass(frozen=True)
class Position:
    """A place in the change log, and the number of the slot that has it."""

    slot: int
    lsn: str

    def __str__(self) -> str:
        return f"{self.slot}:{self.lsn}"

    @classmethod
    def of(cls, manifest: Manifest, cursor: str) -> Position:
        """The position that a cursor says. Raises `PermanentFailure` when it says none."""
        found = _CURSOR.match(cursor)
        if not found:
            raise manifest.wrong("the cursor is no position of a slot")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True)
class Slot:
    """How a slot is doing: where it stands, how many bytes of log it keeps, if within a limit."""

    lsn: str
    kept: int
    limited: bool


class Slots:
    """The slots of one source."""

    def __init__(self, manifest: Manifest, database: Database) -> None:
        assert isinstance(manifest.feed, PostgresReplication)
        self._manifest = manifest
        self._settings = manifest.feed
        self._database = database
        self._stem = (self._settings.slot or f"yizhan_{manifest.source.replace('-', '_')}")[:50]

    def make(self, number: int) -> Position:
        """A slot that keeps everything from now on."""
        self._database.ask(
            "SELECT lsn::text FROM pg_create_logical_replication_slot("
            f"{self._name(number)}, 'pgoutput')"
        )
        made = self.look(number)
        assert made is not None
        return Position(number, made.lsn)

    def look(self, number: int) -> Slot | None:
        """How it is doing; None when it is gone, or no longer has what we have not read."""
        found = self._database.ask(
            "SELECT confirmed_flush_lsn::text, wal_status, "
            "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint, "
            "current_setting('max_slot_wal_keep_size') <> '-1' "
            f"FROM pg_replication_slots WHERE slot_name = {self._name(number)}"
        )
        if not found or found[0][1] == "lost":
            return None
        lsn, _, kept, limited = found[0]
        return Slot(lsn, int(kept or 0), bool(limited))

    def drop_all_but(self, number: int | None) -> None:
        """Let the source forget what no cursor of ours will ask for."""
        kept = "NULL" if number is None else self._name(number)
        self._database.ask(
            "SELECT pg_drop_replication_slot(slot_name)::text FROM pg_replication_slots "
            f"WHERE slot_name ~ {literal(f'^{self._stem}_[0-9]+$')} "
            f"AND slot_name IS DISTINCT FROM {kept} AND database = current_database()"
        )

    def advance(self, to: Position) -> None:
        """What lies before it has been published; the source may forget it."""
        self._database.ask(
            f"SELECT pg_replication_slot_advance(slot_name, {literal(to.lsn)})::text "
            f"FROM pg_replication_slots WHERE slot_name = {self._name(to.slot)} "
            f"AND confirmed_flush_lsn < {literal(to.lsn)}::pg_lsn"
        )

    def peeked(self, wanted: str, number: int, *, most: int) -> str:
        """The question for what the slot has, up to a transaction that reaches `most` changes."""
        return self._peeked(wanted, number, "NULL", str(most))

    def peeked_until(self, wanted: str, end: Position) -> str:
        """The question for what the slot has up to `end`; its answer does not change."""
        return self._peeked(wanted, end.slot, literal(end.lsn), "NULL")

    def _peeked(self, wanted: str, number: int, until: str, most: str) -> str:
        publication = literal(self._database.dialect.name_of(self._settings.publication))
        return (
            f"SELECT {wanted} FROM pg_logical_slot_peek_binary_changes({self._name(number)}, "
            f"{until}, {most}, 'proto_version', '1', 'publication_names', {publication})"
        )

    def _name(self, number: int) -> str:
        return literal(f"{self._stem}_{number}")

    def check_granted(self) -> None:
        """Everything that a slot needs. Raises `PermanentFailure` that says what to run."""
        [[level, role, allowed]] = self._database.ask(
            "SELECT current_setting('wal_level'), rolname::text, rolreplication OR rolsuper "
            "FROM pg_roles WHERE rolname = current_user"
        )
        if level != "logical":
            raise self._manifest.wrong(
                "its log has no changes of rows; "
                "ALTER SYSTEM SET wal_level = 'logical' and restart the server"
            )
        if not allowed:
            raise self._manifest.wrong(
                f"our role may not have a slot; ALTER ROLE {role} REPLICATION"
            )
        if not self._published():
            raise self._manifest.wrong(
                f"publication {self._settings.publication} does not have the table; "
                f"CREATE PUBLICATION {self._settings.publication} FOR TABLE {self._settings.table}"
            )

    def _published(self) -> bool:
        table = literal(self._database.dialect.table(self._settings.table))
        return bool(
            self._database.ask(
                "SELECT 1 FROM pg_publication, LATERAL pg_get_publication_tables(pubname) AS held "
                f"WHERE pubname = {literal(self._settings.publication)} "
                f"AND held.relid = to_regclass({table})"
            )
        )
