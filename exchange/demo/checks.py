"""The demo's judge: what the product holds, counted in SQL, against the generator's truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from connectors.testkit.city import Truth
from connectors.testkit.city.truth import Expected
from exchange.airflow import AirflowApi

OWNERSHIP = "real_estate_registration.ownership"
BUILD_DAG = "build__real_estate_registration_ownership"
# The product says which check of an identifier failed; the truth only that the number is damaged.
REASONS = {
    "unknown-code": "unknown-code",
    "unknown-unit": "unknown-unit",
    "conflict": "conflicting-duplicate",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, and whether it is so."""

    true: bool
    line: str


@dataclass(frozen=True)
class Loaded:
    """What the product says of one dataset."""

    rows: int
    landed: int
    duplicates: int
    quarantined: Mapping[str, int]
    mended: Mapping[str, int]
    aliases: int
    notices: Mapping[str, int]


def loaded(owner: psycopg.Connection, dataset: str) -> Loaded:
    """Count one dataset: rows of the table, and the batch ledger added up."""
    table = Identifier("library", dataset.replace(".", "_"))
    rows = owner.execute(SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    batches = owner.execute(
        "SELECT counts, notices FROM library.batch WHERE dataset = %s AND state = 'published'",
        (dataset,),
    ).fetchall()
    reasons = owner.execute(
        "SELECT reason, count(*) FROM library.quarantine, unnest(reasons) AS reason "
        "WHERE dataset = %s GROUP BY reason",
        (dataset,),
    ).fetchall()
    assert rows is not None
    return Loaded(
        rows=rows[0],
        landed=_total(batches, "landed"),
        duplicates=_total(batches, "duplicate"),
        quarantined=_by_kind(dict(reasons)),
        mended=sum((Counter(counts.get("mended", {})) for counts, _ in batches), Counter()),
        aliases=_total(batches, "aliases"),
        notices=sum((Counter(notices) for _, notices in batches), Counter()),
    )


def against_truth(owner: psycopg.Connection, truth: Truth) -> Iterator[Finding]:
    """Every count of every dataset, to the row."""
    for dataset, expected in truth.datasets.items():
        yield _dataset(dataset, loaded(owner, dataset), expected)
    table = owner.execute(
        "SELECT count(*), count(*) FILTER (WHERE mortgaged), count(*) FILTER (WHERE seized) "
        "FROM library.real_estate_registration_ownership"
    ).fetchone()
    wanted = (truth.ownership.rows, truth.ownership.mortgaged, truth.ownership.seized)
    yield Finding(
        table == wanted,
        f"{OWNERSHIP}: {wanted[0]:,} rows, {wanted[1]:,} mortgaged, {wanted[2]:,} seized"
        + ("" if table == wanted else f" were expected, found {table}"),
    )


def licenses_against_truth(
    owner: psycopg.Connection, truth: Truth, limit: int
) -> Iterator[Finding]:
    """The first so many that may have a license have one, and nobody else."""
    halves = {"business_license": -(-limit // 2), "real_estate_certificate": limit // 2}
    names = {"business_license": "营业执照", "real_estate_certificate": "不动产权证书"}
    for kind, count in halves.items():
        wanted = truth.licensable[kind][:count]
        held = owner.execute(
            "SELECT subject_id FROM vault.license WHERE type_name = %s ORDER BY subject_id",
            (names[kind],),
        ).fetchall()
        found = [row[0] for row in held]
        yield Finding(
            found == wanted,
            f"{len(wanted):,} × {names[kind]}, for exactly those that may have one"
            + ("" if found == wanted else f"; found {len(found):,}"),
        )


def of_airflow(api: AirflowApi, sources: tuple[str, ...]) -> Iterator[Finding]:
    """The scheduler ran the DAGs, assets triggered the build, tasks had processes of their own."""
    pids: set[int] = set()
    for source in sources:
        dag = f"collect__{source}"
        done = [run for run in api.runs(dag) if run["state"] == "success"]
        scheduled = [run for run in done if run["triggered_by"] == "timetable"]
        for run in scheduled[-2:]:
            pids |= {t["pid"] for t in api.tasks(dag, run["dag_run_id"]) if t["pid"]}
        yield Finding(bool(scheduled), f"{dag}: {len(scheduled)} scheduled runs succeeded")
    builds = [run for run in api.runs(BUILD_DAG) if run["state"] == "success"]
    by_asset = [run for run in builds if run["run_type"] == "asset_triggered"]
    yield Finding(
        bool(by_asset) and len(by_asset) == len(builds),
        f"{BUILD_DAG}: {len(by_asset)} runs, every one triggered by an asset",
    )
    yield Finding(len(pids) > len(sources), f"tasks ran in {len(pids)} processes of their own")


def _dataset(name: str, found: Loaded, expected: Expected) -> Finding:
    pairs = {
        "sent": (expected.rows_sent, found.landed),
        "rows": (expected.library_rows, found.rows),
        "duplicates": (expected.duplicates, found.duplicates),
        "quarantined": (dict(+expected.quarantined), dict(found.quarantined)),
        "mended": (dict(+expected.normalised), dict(found.mended)),
    }
    wrong = [
        f"{k}: {wanted} expected, {got} found"
        for k, (wanted, got) in pairs.items()
        if wanted != got
    ]
    line = (
        f"{name}: {found.landed:,} sent = {found.rows:,} in the library + {found.duplicates:,} "
        f"duplicate + {sum(expected.quarantined.values()):,} quarantined"
    )
    return Finding(not wrong, "; ".join([line, *wrong]))


def _by_kind(reasons: Mapping[str, int]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for reason, count in reasons.items():
        counted[REASONS.get(reason.rpartition(":")[2], "identifier")] += count
    return dict(counted)


def _total(batches: list[tuple[dict[str, int], object]], name: str) -> int:
    return sum(counts.get(name, 0) for counts, _ in batches)
