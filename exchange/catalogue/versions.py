"""Versions of resources: proposed by one person, published by another, and never changed again.

`hub.resource_version` is only ever added to (a trigger refuses the rest, whoever asks), and each
version's digest is in the ledger: a change is a new version. A version ends by a notice with a
date (RFC 9745, RFC 8594), which its grants carry from then on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from exchange.agreements.evidence import By, Deed, record
from exchange.catalogue import lint
from exchange.catalogue.lint import Finding, Surroundings
from schemas.canonical import sha256
from schemas.errors import Invalid, NotFound, Refused, WrongState
from schemas.resource import Metadata, read

VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
NOTICE = timedelta(days=30)
"""The shortest time between telling that a version ends and its end."""

READ = (
    "SELECT v.resource, v.version, v.metadata, v.digest, v.proposed_by, v.approved_by,"
    " v.file_number, v.published_at, e.deprecated_at, e.sunset_at, e.successor"
    " FROM hub.resource_version v LEFT JOIN LATERAL ("
    "  SELECT * FROM hub.resource_ending e WHERE e.resource = v.resource"
    "  AND e.version = v.version ORDER BY e.id DESC LIMIT 1) e ON true"
)


@dataclass(frozen=True, slots=True)
class Published:
    """A version as it was published, and when it ends if that was said."""

    metadata: Metadata
    digest: bytes
    proposed_by: str
    approved_by: str
    file_number: str
    published_at: datetime
    deprecated_at: datetime | None
    sunset_at: datetime | None
    successor: str | None


class Unpublishable(Invalid):
    """The draft has errors that audits would find; they are listed."""

    code = "unpublishable"


def propose(conn: psycopg.Connection, draft: Metadata, *, by: By) -> None:
    """Propose a version; an earlier proposal of the resource is replaced. Raises `Invalid`."""
    if not VERSION.fullmatch(draft.version):
        raise Invalid("a version is three numbers, such as 1.2.0")
    newest = latest(conn, draft.code)
    if newest and _numbers(draft.version) <= _numbers(newest.metadata.version):
        raise WrongState(
            f"{draft.code} is published as {newest.metadata.version}: a change needs a higher one"
        )
    conn.execute(
        "INSERT INTO hub.resource_draft (resource, version, metadata, proposed_by)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (resource) DO UPDATE SET version = excluded.version,"
        " metadata = excluded.metadata, proposed_by = excluded.proposed_by, proposed_at = now()",
        (draft.code, draft.version, Jsonb(json.loads(draft.text())), by.officer),
    )
    record(conn, _deed(draft, "propose", by))


def publish(
    conn: psycopg.Connection,
    resource: str,
    known: Surroundings,
    at: datetime,
    *,
    by: By,
    file_number: str,
) -> Published:
    """Publish the proposal, by another person than who proposed it, under an approval's number.

    Raises `NotFound`, `Refused` or `Unpublishable`, and then writes nothing.
    """
    draft, proposer = _draft(conn, resource)
    if proposer == by.officer:
        raise Refused("who proposed a version does not approve it", rule="two-persons")
    if not file_number:
        raise Invalid("a publication names the file that approved it")
    if found := lint.errors(lint.lint(draft, known, at)):
        raise Unpublishable(_told(found))
    _insert(conn, draft, proposer, by, file_number)
    record(conn, _deed(draft, "publish", by, reason=file_number))
    published = latest(conn, resource)
    assert published is not None
    return published


def end(
    conn: psycopg.Connection,
    resource: str,
    version: str,
    sunset_at: datetime,
    at: datetime,
    *,
    by: By,
    reason: str,
    successor: str | None = None,
) -> None:
    """Say that a version ends: its grants end with it. Raises `NotFound` or `Invalid`."""
    if sunset_at - at < NOTICE:
        raise Invalid(f"those who use a version are told {NOTICE.days} days before it ends")
    if not reason:
        raise Invalid("an ending has a reason")
    ended = find(conn, resource, version)
    conn.execute(
        "INSERT INTO hub.resource_ending (resource, version, deprecated_at, sunset_at, successor,"
        " reason, by) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (resource, version, at, sunset_at, successor, reason, by.officer),
    )
    conn.execute(
        'UPDATE hub."grant" SET sunset_at = %s WHERE resource = %s AND version = %s',
        (sunset_at, resource, version),
    )
    record(conn, _deed(ended.metadata, "end", by, reason=reason, until=sunset_at.isoformat()))


def latest(conn: psycopg.Connection, resource: str) -> Published | None:
    """The newest published version, if there is one."""
    found = conn.execute(
        READ + " WHERE v.resource = %s ORDER BY v.ordinal DESC LIMIT 1", (resource,)
    ).fetchone()
    return _published(found) if found else None


def find(conn: psycopg.Connection, resource: str, version: str) -> Published:
    """One published version. Raises `NotFound`."""
    found = conn.execute(
        READ + " WHERE v.resource = %s AND v.version = %s", (resource, version)
    ).fetchone()
    if found is None:
        raise NotFound(f"{resource} was never published as {version}")
    return _published(found)


def history(conn: psycopg.Connection, resource: str | None = None) -> list[Published]:
    """Every published version, of one resource or of all, the oldest first."""
    rows = conn.execute(
        READ + " WHERE %(code)s::text IS NULL OR v.resource = %(code)s"
        " ORDER BY v.resource, v.ordinal",
        {"code": resource},
    ).fetchall()
    return [_published(row) for row in rows]


def drafts(conn: psycopg.Connection) -> list[tuple[Metadata, str]]:
    """What waits for an approval, and who proposed it."""
    rows = conn.execute(
        "SELECT metadata, proposed_by FROM hub.resource_draft ORDER BY resource"
    ).fetchall()
    return [(read(said), proposer) for said, proposer in rows]


def _draft(conn: psycopg.Connection, resource: str) -> tuple[Metadata, str]:
    found = conn.execute(
        "SELECT metadata, proposed_by FROM hub.resource_draft WHERE resource = %s FOR UPDATE",
        (resource,),
    ).fetchone()
    if found is None:
        raise NotFound(f"nothing is proposed for {resource}: `yizhan catalogue propose` does that")
    return read(found[0]), found[1]


def _insert(
    conn: psycopg.Connection, draft: Metadata, proposer: str, by: By, file_number: str
) -> None:
    conn.execute(
        "INSERT INTO hub.resource (code) VALUES (%s) ON CONFLICT DO NOTHING", (draft.code,)
    )
    conn.execute(
        "INSERT INTO hub.resource_version (resource, version, ordinal, metadata, digest,"
        " proposed_by, approved_by, file_number) SELECT %s, %s,"
        " coalesce(max(ordinal), 0) + 1, %s, %s, %s, %s, %s"
        " FROM hub.resource_version WHERE resource = %s",
        (
            draft.code,
            draft.version,
            draft.text(),
            draft.digest(),
            proposer,
            by.officer,
            file_number,
            draft.code,
        ),
    )
    conn.execute("DELETE FROM hub.resource_draft WHERE resource = %s", (draft.code,))


def _published(row: tuple[Any, ...]) -> Published:
    resource, version, text, digest, *rest = row
    if sha256(text.encode()) != digest:
        raise WrongState(f"{resource} {version} is not what was published: ask the ledger")
    return Published(read(json.loads(text)), digest, *rest)


def _deed(draft: Metadata, deed: str, by: By, *, reason: str = "", **more: str) -> Deed:
    detail = {"version": draft.version, "sha256": draft.digest().hex(), **more}
    return Deed("resource", draft.code, deed, by, reason=reason, detail=detail)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _told(found: list[Finding]) -> str:
    return "; ".join(f"{each.where}: {each.rule}: {each.says}" for each in found)
