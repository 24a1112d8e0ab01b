"""The vault's rows: reading licenses and files, moving a license, appending to the log.

SQL and nothing else: no rule is decided here, and nothing here commits. Locks are always taken in
the order license, status list, log, so that two jobs wait for each other and never for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from license_vault import log
from schemas import merkle
from schemas.canonical import sha256
from schemas.errors import Invalid, NotFound
from schemas.license import STATUS_BITS, Event, Form, Holder, License, Status

Connection: TypeAlias = psycopg.Connection[Any]

LOG_LOCK = 0x59_5A_4C_4F_47  # "YZLOG": who holds it gives log entries their places
CHUNK = 500


@dataclass(frozen=True)
class LogEvent:
    """Something that happened to a license, and who did it for what reason."""

    event: Event
    license_id: str
    type_code: str
    issuer: str
    version: str
    record: bytes
    salt: bytes
    by: str
    reason: str


def get(conn: Connection, license_id: str) -> License:
    """The license with this identifier. Raises `NotFound`."""
    return _one(conn, license_id, "")


def locked(conn: Connection, license_id: str) -> License:
    """The license, its row locked until the transaction ends. Raises `NotFound`."""
    return _one(conn, license_id, " FOR UPDATE OF l")


def many(conn: Connection, license_ids: Sequence[str]) -> list[License]:
    """These licenses in the order asked for. Raises `NotFound` when one is not there."""
    found = {each.id: each for each in _licenses(conn, "l.id = ANY(%s)", (list(license_ids),))}
    missing = [each for each in license_ids if each not in found]
    if missing:
        raise NotFound(f"{len(missing)} of these licenses are not in the vault")
    return [found[each] for each in license_ids]


def of_subject(conn: Connection, subject_id: str) -> list[License]:
    """Every license ever issued about a unit or an entity, the oldest first."""
    return _licenses(conn, "l.subject_id = %s ORDER BY l.log_index", (subject_id,))


def of_digest(conn: Connection, file_digest: bytes) -> License:
    """The license that a file with this SHA-256 was handed out for. Raises `NotFound`."""
    row = conn.execute(
        "SELECT license_id FROM vault.file WHERE digest = %s LIMIT 1", (file_digest,)
    ).fetchone()
    if row is None:
        raise NotFound("no file with this digest was handed out here")
    return get(conn, row[0])


def file(conn: Connection, license_id: str, form: Form) -> bytes:
    """The bytes of one form of a license. Raises `NotFound`."""
    row = conn.execute(
        "SELECT bytes FROM vault.file WHERE license_id = %s AND form = %s", (license_id, form)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no {form} of this license")
    return bytes(row[0])


def slots(conn: Connection, status_list: int) -> tuple[int, list[tuple[int, int]]]:
    """The version of a status list and its slots that are not 0, as one statement saw them."""
    row = conn.execute(
        "SELECT l.version, coalesce((SELECT json_agg(json_build_array(s.index, s.value))"
        " FROM vault.status_slot s WHERE s.list = l.id AND s.value <> 0), '[]')"
        " FROM vault.status_list l WHERE l.id = %s",
        (status_list,),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such status list")
    return row[0], [(index, value) for index, value in row[1]]


def add(conn: Connection, licenses: Sequence[License]) -> None:
    """Insert licenses and their holders."""
    columns = ", ".join(_COLUMNS)
    marks = ", ".join(f"%({name})s" for name in _COLUMNS)
    with conn.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO vault.license ({columns}) VALUES ({marks})",  # noqa: S608  # our names
            [_row(each) for each in licenses],
        )
        cursor.executemany(
            "INSERT INTO vault.license_holder (license_id, ordinal, id_type, id, name)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                (each.id, number, holder.id_type, holder.id, holder.name)
                for each in licenses
                for number, holder in enumerate(each.holders)
            ],
        )


def add_files(conn: Connection, files: Iterable[tuple[License, Form, bytes]]) -> None:
    """Store forms of licenses; one that is stored already stays as it is."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO vault.file (license_id, version, form, bytes, digest)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                (held.id, held.version, form, content, sha256(content))
                for held, form, content in files
            ],
        )


def save(conn: Connection, held: License) -> None:
    """Write down a move: the license's state, and the bits that verifiers read."""
    conn.execute(
        "UPDATE vault.license SET status = %s, changed_at = %s, reason = %s, superseded_by = %s"
        " WHERE id = %s",
        (held.status, held.changed_at, held.reason, held.superseded_by, held.id),
    )
    set_slot(conn, held.status_list, held.status_index, STATUS_BITS[held.status])


def set_slot(conn: Connection, status_list: int, index: int, value: int) -> None:
    """Set the bits of a slot; the list's version says that its token must be signed again."""
    conn.execute(
        "UPDATE vault.status_list SET version = version + 1, changed_at = now() WHERE id = %s",
        (status_list,),
    )
    conn.execute(
        'UPDATE vault.status_slot SET value = %s WHERE list = %s AND "index" = %s',
        (value, status_list, index),
    )


def append(conn: Connection, events: Sequence[LogEvent], at: datetime) -> list[int]:
    """Add events to the public log and the outbox; returns their places.

    Holds the log's lock until the transaction ends, so a committed log has no gaps.
    """
    conn.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK,))
    entries = [_entry(each, at) for each in events]
    leaves = [merkle.leaf_hash(each) for each in entries]
    edge = merkle.frontier(log_size(conn), partial(node, conn))
    _, complete = edge.append(leaves)
    places = range(edge.size, edge.size + len(events))
    with conn.cursor() as cursor:
        cursor.executemany(
            'INSERT INTO vault.log_entry ("index", license_id, event, entry, leaf, at)'
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (place, each.license_id, each.event, entry, leaf, at)
                for place, each, entry, leaf in zip(places, events, entries, leaves, strict=True)
            ],
        )
        cursor.executemany(
            'INSERT INTO vault.log_node (level, "index", hash) VALUES (%s, %s, %s)', complete
        )
        cursor.executemany(
            'INSERT INTO vault.outbox (event, license_id, log_index, "by", reason, at)'
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (each.event, each.license_id, place, each.by, each.reason, at)
                for place, each in zip(places, events, strict=True)
            ],
        )
    return list(places)


def log_size(conn: Connection) -> int:
    """How many entries the log has."""
    row = conn.execute('SELECT coalesce(max("index") + 1, 0) FROM vault.log_entry').fetchone()
    assert row is not None
    return int(row[0])


def node(conn: Connection, level: int, index: int) -> bytes:
    """A complete node of the log's tree. Raises `NotFound`."""
    row = conn.execute(
        'SELECT hash FROM vault.log_node WHERE level = %s AND "index" = %s', (level, index)
    ).fetchone()
    if row is None:
        raise NotFound("the log has no such node yet")
    return bytes(row[0])


def log_event(held: License, record: bytes, event: Event, *, by: str, reason: str) -> LogEvent:
    """What the log is told of a license."""
    return LogEvent(
        event, held.id, held.type_code, held.issuer, held.version, record, held.salt, by, reason
    )


def _entry(told: LogEvent, at: datetime) -> bytes:
    return log.entry(
        told.event,
        type_code=told.type_code,
        issuer=told.issuer,
        version=told.version,
        digest=log.salted(told.record, told.salt),
        at=at,
    )


_COLUMNS = (
    "id", "type_code", "type_name", "number", "issuer", "issuer_name", "serial", "version",
    "subject_type", "subject_id", "status", "issued_at", "valid_from", "valid_to", "face",
    "digest", "digest_sm3", "salt", "status_list", "status_index", "log_index", "changed_at",
    "reason", "supersedes", "superseded_by",
)  # fmt: skip
_BYTES = ("digest", "digest_sm3", "salt")
_HOLDERS = (
    "(SELECT json_agg(json_build_array(h.id_type, h.id, h.name) ORDER BY h.ordinal)"
    " FROM vault.license_holder h WHERE h.license_id = l.id) AS holders"
)


def _row(held: License) -> dict[str, Any]:
    row = {name: getattr(held, name) for name in _COLUMNS}
    return row | {"face": Jsonb(dict(held.face)), "status": str(held.status)}


def _one(conn: Connection, license_id: str, suffix: str) -> License:
    found = _licenses(conn, "l.id = %s" + suffix, (license_id,))
    if not found:
        raise NotFound("there is no such license", zh="没有该电子证照")
    return found[0]


def _licenses(conn: Connection, where: str, values: Sequence[Any]) -> list[License]:
    columns = ", ".join(f"l.{name}" for name in _COLUMNS)
    query = f"SELECT {columns}, {_HOLDERS} FROM vault.license l WHERE {where}"  # noqa: S608 - our own words; values are parameters
    with conn.cursor(row_factory=dict_row) as cursor:
        return [_license(row) for row in cursor.execute(query.encode(), values)]


def _license(row: dict[str, Any]) -> License:
    holders = row["holders"] if isinstance(row["holders"], list) else json.loads(row["holders"])
    if not holders:
        raise Invalid("a license without a holder is in the vault")
    told = row | {name: bytes(row[name]) for name in _BYTES}
    told["holders"] = tuple(Holder(*each) for each in holders)
    told["status"] = Status(row["status"])
    return License(**told)
