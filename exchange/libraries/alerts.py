"""Alerts: a batch that did not come, or one that should not have come as it did.

    missing-batch      nothing was published for as long as the manifest expects, or the contract
                       promises where the manifest says nothing
    held-batch         a guard or the reconciliation stopped a batch; a person must decide
    quarantine-jump    of the last batch far more was refused than of those before it
    reconcile-gap      a published batch whose counts do not add up

An alert is opened once, may be acknowledged, and is closed by the look that no longer finds its
cause. Each is a row of `library.alert`, a line of JSON in the log and, where YIZHAN_ALERT_WEBHOOK
names an address, a POST of the same JSON, tried again at every look until it was taken. Alerts hold
names of sources and figures, nothing of any person.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import psycopg
from psycopg.rows import class_row

from connectors.feeds import Manifest, read_manifests
from exchange.database import Role, without_detail
from exchange.libraries import batches, mended, reconcile
from exchange.libraries.batches import Batch, BatchId, State
from exchange.settings import Settings
from schemas.contract import load as contract_of
from schemas.errors import Invalid, NotFound

log = logging.getLogger("yizhan.alerts")

PATIENCE = 10.0  # seconds for a webhook; alerts are looked for often
BEFORE = 5  # batches that the last one is compared with
JUMP = 0.01  # share of the rows; less is noise
TIMES = 2.0


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now, of which batch if of any."""

    kind: str
    source: str
    dataset: str
    batch: BatchId | None
    message: str


@dataclass(frozen=True)
class Alert:
    """A finding that was opened, and what people and time made of it."""

    id: int
    kind: str
    source: str
    dataset: str
    batch: BatchId | None
    message: str
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    closed_at: datetime | None = None
    told_at: datetime | None = None


def look(settings: Settings, *, at: datetime | None = None) -> list[Alert]:
    """Open what is wrong, close what is mended, tell who must know; the alerts that are open."""
    moment = at or datetime.now(UTC)
    manifests, torn = read_manifests(settings.sources.glob("*.yaml"))
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        conn.execute("LOCK TABLE library.alert IN SHARE ROW EXCLUSIVE MODE")  # one look at a time
        mended.settle(conn)
        found = [finding for each in manifests for finding in _findings(conn, each, moment)]
        closed = _close(conn, found, moment, unseen=torn)
        for finding in found:
            _open(conn, finding, moment)
        conn.commit()
        _tell(conn, closed, moment)
        return listed(conn)


def listed(conn: psycopg.Connection, *, closed: int = 0) -> list[Alert]:
    """The open alerts, oldest first, and as many of the closed ones, newest first."""
    return [
        *_query(conn, "WHERE closed_at IS NULL ORDER BY opened_at, id"),
        *_query(conn, "WHERE closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT %s", (closed,)),
    ]


def acknowledge(settings: Settings, alert: int, *, by: str) -> Alert:
    """Note that somebody knows. Raises `NotFound` for an alert that is not open."""
    if not by.strip():
        raise Invalid("say who acknowledges: it is kept")
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        conn.execute(
            "UPDATE library.alert SET acknowledged_at = now(), acknowledged_by = %s"
            " WHERE id = %s AND closed_at IS NULL AND acknowledged_at IS NULL",
            (by, alert),
        )
        found = _query(conn, "WHERE id = %s AND closed_at IS NULL", (alert,))
        if not found:
            raise NotFound(f"there is no open alert {alert}")
        conn.commit()
        return found[0]


def longest_wait(manifest: Manifest) -> timedelta:
    """How long a source may publish nothing: as its manifest expects, or its contract promises."""
    if manifest.expected:
        return manifest.expected.interval
    return contract_of(manifest.dataset).freshness


def missing(manifest: Manifest, last: datetime, at: datetime) -> str | None:
    """Say what did not come in time, given when something last did."""
    longest = longest_wait(manifest)
    if at - last <= longest:
        return None
    return f"no batch for {_spoken(at - last)}; {manifest.owner} owes one every {_spoken(longest)}"


def jumped(shares: Sequence[float]) -> bool:
    """Say whether the first share is far above those of the batches before it."""
    last, *before = shares or (0.0,)
    if not before:
        return False
    usual = sum(before) / len(before)
    return last - usual > JUMP and last > TIMES * usual


def _findings(conn: psycopg.Connection, manifest: Manifest, at: datetime) -> Iterator[Finding]:
    source, dataset = manifest.source, manifest.dataset
    held = batches.open_of(conn, source)
    if held and held.state is State.HELD:
        yield Finding("held-batch", source, dataset, held.id, "; ".join(held.held))
    came = _published(conn, source)
    since = came[0].published_at if came else _known_since(conn, source)
    if since and (late := missing(manifest, since, at)):
        yield Finding("missing-batch", source, dataset, came[0].id if came else None, late)
    if not came:
        return
    shares = [_share(batch) for batch in came]
    if jumped(shares):
        usual = sum(shares[1:]) / len(shares[1:])
        refused = f"{shares[0]:.2%} of its rows are in quarantine, {usual:.2%} of those before"
        yield Finding("quarantine-jump", source, dataset, came[0].id, refused)
    if gaps := list(_gaps(came[0])):
        yield Finding("reconcile-gap", source, dataset, came[0].id, "; ".join(gaps))


def _published(conn: psycopg.Connection, source: str) -> list[Batch]:
    """The last windows of a source that brought rows or at least were published."""
    rows = conn.execute(
        "SELECT id FROM library.batch WHERE source = %s AND state = 'published'"
        " AND NOT starts_with(window_end, %s) ORDER BY id DESC LIMIT %s",
        (source, batches.REPAIR, BEFORE + 1),
    ).fetchall()
    return [batches.get(conn, number) for (number,) in rows]


def _known_since(conn: psycopg.Connection, source: str) -> datetime | None:
    """When the first batch of a source was begun that never published one."""
    row = conn.execute(
        "SELECT min(created_at) FROM library.batch WHERE source = %s", (source,)
    ).fetchone()
    return None if row is None else row[0]


def _share(batch: Batch) -> float:
    landed = batch.counts.get("landed", 0)
    return batch.counts.get("quarantined", 0) / landed if landed else 0.0


def _gaps(batch: Batch) -> Iterator[str]:
    told = (batch.source_totals or {}).get("rows")
    landed = batch.counts.get("landed")
    if told is not None and landed is not None and told != landed:
        yield f"the source counts {told} rows and {landed} were landed"
    if all(place in batch.counts for place in reconcile.PLACES):
        yield from reconcile.placed_gaps(batch.counts)


def _spoken(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    for name, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {name}"
    return f"{seconds} seconds"


def _close(
    conn: psycopg.Connection, found: Sequence[Finding], at: datetime, unseen: Container[str]
) -> list[Alert]:
    """Close what is no longer found; another batch of the same kind is another alert.

    A source whose manifest is torn was not looked at, and its alerts stay.
    """
    still = {(finding.kind, finding.source, finding.batch) for finding in found}
    over = [
        a
        for a in listed(conn)
        if (a.kind, a.source, a.batch) not in still and a.source not in unseen
    ]
    conn.execute(
        "UPDATE library.alert SET closed_at = %s WHERE id = ANY(%s)",
        (at, [alert.id for alert in over]),
    )
    return [alert for each in over for alert in _query(conn, "WHERE id = %s", (each.id,))]


def _open(conn: psycopg.Connection, finding: Finding, at: datetime) -> None:
    conn.execute(
        "INSERT INTO library.alert AS a (kind, source, dataset, batch, message, opened_at)"
        " VALUES (%(kind)s, %(source)s, %(dataset)s, %(batch)s, %(message)s, %(at)s)"
        " ON CONFLICT (kind, source) WHERE closed_at IS NULL"
        " DO UPDATE SET message = excluded.message WHERE a.message <> excluded.message",
        {**asdict(finding), "at": at},
    )


def _tell(conn: psycopg.Connection, closed: Sequence[Alert], at: datetime) -> None:
    """Tell of every alert that nobody was told of, and once of each that was closed."""
    for alert in closed:
        _said("closed", alert)
    for alert in _query(conn, "WHERE closed_at IS NULL AND told_at IS NULL ORDER BY id"):
        if _said("opened", alert):
            conn.execute("UPDATE library.alert SET told_at = %s WHERE id = %s", (at, alert.id))
            conn.commit()


def _said(what: str, alert: Alert) -> bool:
    """Write the line and post it; whether all who should know have taken it."""
    line = orjson.dumps({"alert": what, **asdict(alert)}, option=orjson.OPT_UTC_Z).decode()
    log.warning("%s", line)
    address = os.environ.get("YIZHAN_ALERT_WEBHOOK")
    if not address:
        return True
    try:
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(address, content=line, headers=headers, timeout=PATIENCE)
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        log.warning("the alert webhook did not answer: %s", type(err).__name__)
        return False
    if not answer.is_success:
        log.warning("the alert webhook answered %s", answer.status_code)
    return answer.is_success


def _query(conn: psycopg.Connection, where: str, values: Sequence[object] = ()) -> list[Alert]:
    sql = f"SELECT * FROM library.alert {where}"  # noqa: S608 - conditions of this module only
    with conn.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(sql.encode(), values).fetchall()
