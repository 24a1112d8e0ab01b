"""The demo's judge: what the product holds, counted in SQL, against the generator's truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from connectors.testkit.city import Truth
from connectors.testkit.city import truth as planted
from connectors.testkit.city.truth import Expected
from exchange.airflow import AirflowApi

OWNERSHIP = "real_estate_registration.ownership"
BUILD_DAG = "build__real_estate_registration_ownership"
# The product says which check of an identifier failed; the truth only that the number is damaged.
REASONS = {
    "unknown-code": planted.UNKNOWN_CODE,
    "unknown-unit": planted.UNKNOWN_UNIT,
    "conflict": planted.CONFLICT,
    "required": planted.REQUIRED,
    "not-a-date": planted.NOT_A_DATE,
    "range": planted.RANGE,
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


# At night every source is read whole again; what it says a second time is not counted again.
READINGS = """
SELECT counts, notices FROM (
    SELECT counts, notices, mode, row_number() OVER (PARTITION BY source, mode ORDER BY id) AS nth
      FROM library.batch WHERE dataset = %s AND state = 'published') AS reading
 WHERE mode <> 'snapshot' OR nth = 1
"""


def loaded(owner: psycopg.Connection, dataset: str) -> Loaded:
    """Count one dataset: rows of the table, and the batch ledger added up."""
    table = Identifier("library", dataset.replace(".", "_"))
    rows = owner.execute(SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    batches = owner.execute(READINGS, (dataset,)).fetchall()
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
        quarantined=by_kind(dict(reasons)),
        mended=sum((Counter(counts.get("mended", {})) for counts, _ in batches), Counter()),
        aliases=_total(batches, "aliases"),
        notices=sum((Counter(notices) for _, notices in batches), Counter()),
    )


def against_truth(owner: psycopg.Connection, truth: Truth) -> Iterator[Finding]:
    """Every count of every dataset, to the row; then what is built from them."""
    for dataset, expected in truth.datasets.items():
        yield _dataset(dataset, loaded(owner, dataset), expected)
    for dataset, counts in truth.built.items():
        yield _built(dataset, built(owner, dataset, counts), counts)


def built(owner: psycopg.Connection, dataset: str, counts: Mapping[str, int]) -> Mapping[str, int]:
    """The rows of a thematic dataset, and those for which each of these columns is true."""
    columns = [name for name in counts if name != "rows"]
    wanted = SQL(", ").join(
        [SQL("count(*)")]
        + [SQL("count(*) FILTER (WHERE {})").format(Identifier(name)) for name in columns]
    )
    table = Identifier("library", dataset.replace(".", "_"))
    row = owner.execute(SQL("SELECT {} FROM {}").format(wanted, table)).fetchone()
    assert row is not None
    return dict(zip(["rows", *columns], row, strict=True))


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
    line = (
        f"{name:<34}{found.landed:>9,} sent ={found.rows:>9,} in the library +"
        f"{found.duplicates:>5,} double +{sum(found.quarantined.values()):>5,} quarantined"
    )
    return Finding(*_equal(line, pairs))


def _built(name: str, found: Mapping[str, int], expected: Mapping[str, int]) -> Finding:
    pairs = {column: (expected[column], found[column]) for column in expected}
    parts = (f"{count:,} {column.replace('_', ' ')}" for column, count in found.items())
    return Finding(*_equal(f"{name:<34} {', '.join(parts)}", pairs))


def _equal(line: str, pairs: Mapping[str, tuple[object, object]]) -> tuple[bool, str]:
    wrong = [
        f"{what}: {wanted} expected, {got} found"
        for what, (wanted, got) in pairs.items()
        if wanted != got
    ]
    return not wrong, "; ".join([line, *wrong])


def by_kind(reasons: Mapping[str, int]) -> dict[str, int]:
    """Reasons of quarantine as the truth counts them: by the kind of defect, whatever the field."""
    counted: Counter[str] = Counter()
    for reason, count in reasons.items():
        field, _, fault = reason.rpartition(":")
        kind = planted.RULE if field == "rule" else REASONS.get(fault, planted.IDENTIFIER)
        counted[kind] += count
    return dict(counted)


def _total(batches: list[tuple[dict[str, int], object]], name: str) -> int:
    return sum(counts.get(name, 0) for counts, _ in batches)
