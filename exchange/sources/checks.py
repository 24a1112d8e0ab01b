"""`source check`: a manifest held against the living source and our own tables, before a schedule.

Nothing is written, here or there: the source is asked for its first rows and, where that keeps
nothing, for its next window and its own count. Each finding is a line that says what to do next; a
part that cannot be asked because an earlier one failed is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow as pa

from connectors.feeds import Feed, Manifest, Totals, Window, load_manifest, open_feed
from connectors.feeds.file_settings import Control, FileDrop
from connectors.feeds.http_settings import HttpPages
from connectors.feeds.sql_database import open_database
from connectors.feeds.sql_settings import PostgresReplication, SqlSource
from connectors.feeds.sql_table import Part, SqlTable
from exchange.libraries import check as rows_check
from exchange.sources import asking, ours, paces, trial
from exchange.sources.folders import Folders
from exchange.sources.naming import CHANGED_AT
from exchange.sources.profile import read_as
from schemas.codes import code_list
from schemas.contract import Contract, load
from schemas.errors import Invalid, Unavailable, YizhanError

State = Literal["right", "wrong", "unsure"]
AHEAD = timedelta(minutes=5)  # clocks differ
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """What was tried, what came of it, and what to do next."""

    what: str
    state: State
    said: str
    next: str = ""


def check(
    name: str, folders: Folders, environment: Mapping[str, str], limit: int
) -> tuple[Finding, ...]:
    """Try a source, from its file to our tables. Raises nothing that a source may raise."""
    return tuple(_checked(name, folders, environment, limit))


def _checked(
    name: str, folders: Folders, environment: Mapping[str, str], limit: int
) -> Iterator[Finding]:
    found = _manifest(name, folders)
    if isinstance(found, Finding):
        yield found
        return
    manifest, others = found
    yield Finding("manifest", "right", f"{manifest.dataset} from {manifest.feed.kind}")
    contract = _contract(manifest)
    if isinstance(contract, Finding):
        yield contract
        return
    yield _fields(manifest, contract)
    yield _schedule(manifest, others)
    missing = [name for name in asking.variables(manifest) if not environment.get(name)]
    if missing:
        yield Finding(
            "variables",
            "wrong",
            f"{', '.join(missing)} not set",
            f"export {missing[0]}=…, here and where Airflow is started",
        )
    else:
        named = ", ".join(asking.variables(manifest)) or "none is named"
        yield Finding("variables", "right", named)
        yield from _living(manifest, contract, asking.only_named(manifest, environment), limit)
    yield from _tables(manifest, contract)


def _manifest(name: str, folders: Folders) -> tuple[Manifest, list[Manifest]] | Finding:
    read, mine = list[Manifest](), list[Manifest]()
    for path in sorted(folders.sources.glob("*.yaml")):
        try:
            manifest = load_manifest(path)
        except Invalid as err:
            if path.stem == name:
                return Finding("manifest", "wrong", err.message, f"mend {path}")
            continue
        (mine if manifest.source == name else read).append(manifest)
    if not mine:
        known = ", ".join(each.source for each in read) or "none"
        said = f"there is no source {name} in {folders.sources}; there are {known}"
        return Finding("manifest", "wrong", said, f"yizhan source new {name} --kind …")
    if len(mine) > 1:
        return Finding("manifest", "wrong", f"two files describe {name}", "remove one of them")
    return mine[0], read


def _contract(manifest: Manifest) -> Contract | Finding:
    try:
        return load(manifest.dataset)
    except Invalid as err:
        return Finding("contract", "wrong", err.message, "mend the contract, or the manifest")


def _fields(manifest: Manifest, contract: Contract) -> Finding:
    fed = set(manifest.columns.values())
    slips = [f"it has no field {name}" for name in sorted(fed - set(contract.columns))]
    slips += [
        f"no column feeds {field.name} ({field.label_zh}), which every row must have"
        for field in contract.fields
        if field.required and field.name not in fed
    ]
    slips += [
        f"crosswalk makes {field.name} codes that {field.code_list} does not have"
        for field in contract.fields
        if field.code_list
        and set(manifest.crosswalk.get(field.name, {}).values())
        - set(code_list(field.code_list).values)
    ]
    if contract.kind != "base":
        slips.append(f"{contract.id} is {contract.kind}: no source brings it")
    if slips:
        return Finding("contract", "wrong", "; ".join(slips), "mend columns in the manifest")
    unfed = len(contract.fields) - len(fed)
    said = f"{contract.id} {contract.version}, {len(fed)} fields fed"
    return Finding("contract", "right", f"{said}, {unfed} stay empty" if unfed else said)


def _schedule(manifest: Manifest, others: Iterable[Manifest]) -> Finding:
    slips = list(paces.slips(manifest, others))
    if slips:
        return Finding("schedule", "wrong", "; ".join(slips), "mend the manifest")
    system = manifest.system or manifest.source
    said = f"{manifest.schedule}, at most {manifest.pool} at once at {system}"
    return Finding("schedule", "right", said)


def _living(
    manifest: Manifest, contract: Contract, secrets: Mapping[str, str], limit: int
) -> Iterator[Finding]:
    """What the source itself says."""
    try:
        with closing(open_feed(manifest, secrets)) as feed:
            rows = feed.sample(limit)
    except YizhanError as err:
        yield _refused("source", err)
        return
    yield Finding("source", "right", f"answers; {rows.num_rows:,} rows looked at")
    schema = _schema(manifest, rows)
    yield schema
    if schema.state == "right" and set(manifest.columns.values()) <= set(contract.columns):
        yield _rows(manifest, rows)
    yield from _window(manifest, rows, secrets, limit)
    yield from _freshness(manifest, contract, rows, secrets, limit)


def _refused(what: str, err: YizhanError) -> Finding:
    again = "it may answer later; otherwise " if isinstance(err, Unavailable) else ""
    return Finding(what, "wrong", err.message, f"{again}see its address, login and owner")


def _schema(manifest: Manifest, rows: pa.Table) -> Finding:
    columns = dict.fromkeys(rows.schema.names, "string")
    marks = {getattr(manifest.feed, name, None) for name in ("operation", "sequence")}
    diff = [
        line
        for line in rows_check.drift(columns, None, manifest)
        if line.removeprefix("new ") not in marks
    ]
    if diff:
        return Finding(
            "schema",
            "wrong",
            "; ".join(diff),
            "mend columns, or say may_evolve: true to leave out what is new",
        )
    return Finding("schema", "right", f"{len(manifest.source_columns)} columns, as agreed")


def _rows(manifest: Manifest, rows: pa.Table) -> Finding:
    tried = trial.judged(rows, manifest)
    most = float(manifest.guards.quarantined_at_most)
    if not tried.rows:
        return Finding("rows", "unsure", "there is none to look at")
    said = f"{tried.quarantined:,} of {tried.rows:,} would be refused"
    reasons = ", ".join(f"{count:,} × {reason}" for reason, count in tried.reasons.items())
    said = f"{said}: {reasons}" if reasons else said
    if tried.share > most:
        after = f"more than {most:.0%} holds the batch: mend columns, crosswalk or the contract"
        return Finding("rows", "wrong", said, after)
    state: State = "unsure" if tried.quarantined else "right"
    return Finding("rows", state, said, "quarantine will keep them" if reasons else "")


def _window(
    manifest: Manifest, rows: pa.Table, secrets: Mapping[str, str], limit: int
) -> Iterator[Finding]:
    """The next window from nothing, and the source's own count of it where it costs little."""
    if isinstance(manifest.feed, PostgresReplication):
        said = "the first run makes a replication slot; asking for a window would make it now"
        yield Finding("window", "unsure", said)
        return
    try:
        with closing(open_feed(manifest, secrets)) as feed:
            window = feed.plan(None)
            yield _planned(window, feed)
            if window is not None:
                yield _totals(manifest, feed, window, rows, limit)
    except YizhanError as err:
        yield _refused("window", err)


def _planned(window: Window | None, feed: Feed) -> Finding:
    met = ", ".join(f"{count} {kind}" for kind, count in feed.notices().items() if count)
    if window is None:
        said = f"nothing to begin with ({met})" if met else "nothing to begin with"
        return Finding(
            "window", "wrong", said, "is a whole delivery there, and what vouches for it?"
        )
    said = "begins with everything" if window.mode == "snapshot" else "begins with changes"
    return Finding("window", "right", f"{said}; {met}" if met else said)


def _totals(manifest: Manifest, feed: Feed, window: Window, rows: pa.Table, limit: int) -> Finding:
    if not _counts_cheaply(manifest):
        said = "the source says no count of its own before it is read"
        return Finding("totals", "unsure", said)
    told = feed.totals(window)
    by = "count and checksum" if told.buckets else "count"
    if _differs(told, window, rows, limit):
        said = f"the source counts {told.rows:,} rows and gives {rows.num_rows:,}"
        return Finding("totals", "wrong", said, f"ask {manifest.owner}")
    return Finding("totals", "right", f"{by} by the source's own means: {told.rows:,} rows")


def _counts_cheaply(manifest: Manifest) -> bool:
    feed = manifest.feed
    if isinstance(feed, FileDrop):
        return isinstance(feed.control, Control) and feed.control.rows is not None
    if isinstance(feed, HttpPages):
        return feed.totals is not None
    return isinstance(feed, SqlSource)


def _differs(told: Totals, window: Window, rows: pa.Table, limit: int) -> bool:
    whole = window.mode == "snapshot" and rows.num_rows < limit
    return whole and told.rows != rows.num_rows


def _freshness(
    manifest: Manifest, contract: Contract, rows: pa.Table, secrets: Mapping[str, str], limit: int
) -> Iterator[Finding]:
    """The newest change that the source tells of, against what the contract promises."""
    promise = contract.freshness
    pace = manifest.interval
    if pace is not None and pace > promise:
        said = f"asked every {manifest.schedule}, and {promise} is promised"
        yield Finding("freshness", "unsure", said, "ask more often, or promise less")
        return
    column = next((c for c, field in manifest.columns.items() if field == CHANGED_AT), None)
    if column is None or column not in rows.schema.names:
        said = f"{promise} is promised, and no column says when a row changed"
        yield Finding("freshness", "unsure", said)
        return
    try:
        newest, of_all = _newest(manifest, column, rows, secrets, limit)
    except YizhanError as err:
        yield _refused("freshness", err)
        return
    yield _aged(newest, of_all, promise)


def _newest(
    manifest: Manifest, column: str, rows: pa.Table, secrets: Mapping[str, str], limit: int
) -> tuple[datetime | None, bool]:
    """The newest change, and whether it is that of all rows."""
    texts, of_all = rows[column], rows.num_rows < limit
    if isinstance(manifest.feed, SqlSource):
        table = str(getattr(manifest.feed, "table"))  # noqa: B009 - every SQL kind has one
        with closing(open_database(manifest, secrets)) as database:
            database.hold("newest")
            _, highest = SqlTable(manifest, database).highest(Part(table), (column,))
        texts, of_all = pa.array([highest], pa.string()), True
    import polars as pl

    newest = read_as(pl.Series("", texts.to_pylist(), pl.String), "timestamp").max()
    return (newest if isinstance(newest, datetime) else None), of_all


def _aged(newest: datetime | None, of_all: bool, promise: timedelta) -> Finding:
    if newest is None:
        return Finding("freshness", "unsure", "no row says when it changed")
    age = datetime.now(UTC) - newest
    whose = "newest change" if of_all else "newest change of the rows looked at"
    if age < -AHEAD:
        said = f"the {whose} is {_long(-age)} in the future"
        return Finding("freshness", "unsure", said, "whose clock is wrong, or which time zone?")
    said = f"the {whose} is {_long(age)} old, {_long(promise)} is promised"
    return Finding("freshness", "right" if age <= promise else "unsure", said)


def _long(time: timedelta) -> str:
    if time >= 2 * DAY:
        return f"{time.days} days"
    minutes = int(time.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min"


def _tables(manifest: Manifest, contract: Contract) -> Iterator[Finding]:
    """Whether our own database can take it."""
    try:
        missing, last = ours.state(manifest, contract)
    except YizhanError as err:
        yield Finding("tables", "wrong", err.message, "start it, then yizhan db upgrade")
        return
    if missing:
        said = f"{', '.join(missing)} not there"
        yield Finding("tables", "wrong", said, "yizhan db upgrade")
        return
    yield Finding("tables", "right", f"library.{contract.table}; {last}")
