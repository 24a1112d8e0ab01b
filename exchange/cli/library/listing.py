"""`list`, `show`, `as-of`: what there is, and what there was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from exchange.cli.library.printing import (
    Json,
    Number,
    dataset_named,
    print_json,
    print_table,
    reading,
)
from exchange.libraries import batches, history, quarantine
from exchange.libraries.batches import Batch
from exchange.settings import Settings
from schemas.contract import all_contracts
from schemas.errors import Invalid

FIGURES = {
    "landed": "landed",
    "inserted": "new",
    "updated": "changed",
    "deleted": "gone",
    "quarantined": "refused",
}


def list_(
    dataset: Annotated[str | None, typer.Option(help="Only this dataset's.")] = None,
    datasets: Annotated[
        bool, typer.Option("--datasets", help="Datasets instead of batches.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    json: Json = False,
) -> None:
    """Batches, newest first: where they come from, where they are, what they held.

    With --datasets: every dataset, when it was last published, its quality and what it refused.
    """
    settings = Settings.load()
    if datasets:
        _list_datasets(settings, json)
        return
    with reading(settings) as conn:
        named = dataset and dataset_named(dataset)
        found = batches.listed(conn, dataset=named, limit=limit)
    if json:
        print_json([_described(batch) for batch in found])
        return
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("batch", "source", "state", *FIGURES.values(), "published"):
        table.add_column(heading, no_wrap=heading != "source", min_width=len(heading))
    for batch in found:
        table.add_row(*_line(batch))
    Console().print(table)


def show(batch: Number, json: Json = False) -> None:
    """One batch: its window, counts, checksums, reasons and who released it."""
    with reading(Settings.load()) as conn:
        found = batches.get(conn, batch)
        why = quarantine.reasons(conn, batch)
    described = {**_described(found), "quarantine": why}
    if json:
        print_json(described)
        return
    table = Table(show_header=False)
    for name, value in described.items():
        table.add_row(name, value if isinstance(value, str) else orjson.dumps(value).decode())
    Console().print(table)


def as_of(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as real_estate.unit.")],
    at: Annotated[str, typer.Argument(help="A moment, such as 2026-11-22T08:00:00+08:00.")],
) -> None:
    """What a dataset said of one row at a past moment; the row's key is read from standard input.

    The key is one value a line, in the order of the contract. It is no argument, because arguments
    are seen by every user of this machine and kept in the shell's history.
    """
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise Invalid(f"{at} is no moment; write it as 2026-11-22T08:00:00+08:00") from None
    dataset_named(dataset)
    key = [line.strip() for line in typer.get_text_stream("stdin") if line.strip()]
    with reading(Settings.load()) as conn:
        row = history.as_of(conn, dataset, key, moment)
    print_json(row)
    if row is None:
        raise typer.Exit(1)


def _list_datasets(settings: Settings, json: bool) -> None:
    with reading(settings) as conn:
        known = {row[0]: row[1:] for row in conn.execute(_DATASETS)}
    found = [dict(zip(_COLUMNS, line, strict=True)) for line in _datasets(known)]
    if json:
        print_json(found)
        return
    print_table(_COLUMNS, ([_brief(cell) for cell in row.values()] for row in found))


_COLUMNS = ("dataset", "kind", "published", "score", "moved by", "refused")
_DATASETS = """
SELECT coalesce(b.dataset, q.dataset), b.published_at, s.score, s.moved_by, coalesce(q.waiting, 0)
  FROM (SELECT dataset, max(published_at) AS published_at FROM library.batch GROUP BY 1) b
  FULL JOIN (SELECT dataset, count(*) AS waiting FROM library.quarantine WHERE state = 'open'
              GROUP BY 1) q USING (dataset)
  LEFT JOIN LATERAL (SELECT score, moved_by FROM library.quality_score s
                      WHERE s.dataset = b.dataset ORDER BY day DESC LIMIT 1) s ON true
"""


def _datasets(known: dict[str, tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for contract in all_contracts():
        yield contract.id, contract.kind, *known.get(contract.id, (None, None, None, 0))


def _brief(cell: object) -> object:
    return f"{cell:%m-%d %H:%M}" if isinstance(cell, datetime) else cell


def _line(batch: Batch) -> list[str]:
    figures = [str(batch.counts.get(name, "")) for name in FIGURES]
    published = f"{batch.published_at:%m-%d %H:%M}" if batch.published_at else ""
    return [str(batch.id), batch.source, batch.state, *figures, published]


def _described(batch: Batch) -> dict[str, Any]:
    return {name: value for name, value in vars(batch).items() if name != "lease"}
