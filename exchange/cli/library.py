"""`yizhan library`: what data engineers do with batches when no scheduler does it for them."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import orjson
import psycopg
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from exchange.database import Role, without_detail
from exchange.libraries import batches, history, journey, quarantine, reconcile, thematic
from exchange.libraries.batches import Batch
from exchange.libraries.journey import Outcome
from exchange.settings import Settings

app = typer.Typer(no_args_is_help=True)

Number = Annotated[
    int, typer.Argument(metavar="BATCH", help="The batch's number, as `list` shows.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the batch.")]
By = Annotated[str, typer.Option("--by", help="Who decides; it is kept with the batch.")]

PLACES = (*reconcile.PLACES, "deleted")
FIGURES = {
    "landed": "landed",
    "inserted": "new",
    "updated": "changed",
    "deleted": "gone",
    "quarantined": "refused",
}


@app.command("list")
def list_(
    dataset: Annotated[str | None, typer.Option(help="Only this dataset's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    json: Json = False,
) -> None:
    """Batches, newest first: where they come from, where they are, what they held."""
    with _reading(Settings.load()) as conn:
        found = batches.listed(conn, dataset=dataset, limit=limit)
    if json:
        _print_json([_described(batch) for batch in found])
        return
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("batch", "source", "state", *FIGURES.values(), "published"):
        table.add_column(heading, no_wrap=heading != "source", min_width=len(heading))
    for batch in found:
        table.add_row(*_line(batch))
    Console().print(table)


@app.command()
def show(batch: Number, json: Json = False) -> None:
    """One batch: its window, counts, checksums, reasons and who released it."""
    with _reading(Settings.load()) as conn:
        found = batches.get(conn, batch)
        why = quarantine.reasons(conn, batch)
    described = {**_described(found), "quarantine": why}
    if json:
        _print_json(described)
        return
    table = Table(show_header=False)
    for name, value in described.items():
        table.add_row(name, value if isinstance(value, str) else orjson.dumps(value).decode())
    Console().print(table)


@app.command()
def run(
    source: Annotated[str, typer.Argument(help="A source, or a thematic dataset to build.")],
    json: Json = False,
) -> None:
    """Collect what is new at a source, or build a thematic dataset."""
    settings = Settings.load()
    with _progress(f"{source}: extract, land, check, merge, reconcile", json):
        outcome = _run(settings, source)
    if outcome is None:
        _print_json(None) if json else typer.echo(f"{source}: nothing new")
        return
    _print_outcome(outcome, json)


def _run(settings: Settings, source: str) -> Outcome | None:
    if source not in {contract.id for contract in thematic.thematic()}:
        return journey.collect(settings, source)
    built = thematic.build(settings, source)
    if built is None:
        return None
    with _reading(settings) as conn:
        return Outcome.of(batches.get(conn, built))


@app.command()
def replay(batch: Number, json: Json = False) -> None:
    """Load a batch again from its Parquet; what later batches wrote stays."""
    with _progress(f"batch {batch}: replaying", json):
        outcome = journey.replay(Settings.load(), batch)
    _print_outcome(outcome, json)


@app.command("reconcile")
def reconcile_(batch: Number, json: Json = False) -> None:
    """Hold a batch's landed file against the source's totals, and its counts against the rows.

    Exit status 1 when something does not add up.
    """
    settings = Settings.load()
    with _progress(f"batch {batch}: reconciling", json):
        gaps = journey.audit(settings, batch)
    if json:
        _print_json({"batch": batch, "gaps": gaps})
    else:
        typer.echo("\n".join(gaps) or f"batch {batch} adds up")
    if gaps:
        raise typer.Exit(1)


@app.command()
def release(batch: Number, reason: Reason, by: By = "", json: Json = False) -> None:
    """Let a held batch pass its guards, and load it."""
    settings = Settings.load()
    journey.release(settings, batch, reason=reason, by=by or getpass.getuser())
    with _progress(f"batch {batch}: loading", json):
        outcome = journey.load(settings, batch)
    _print_outcome(outcome, json)


@app.command()
def reject(batch: Number, reason: Reason, by: By = "") -> None:
    """Put a held batch away; the source is asked for that window again."""
    journey.reject(Settings.load(), batch, reason=reason, by=by or getpass.getuser())
    typer.echo(f"batch {batch} is rejected; its source is asked again at the next run")


@app.command("quarantine")
def quarantine_(
    batch: Number,
    rows: Annotated[int, typer.Option(min=0, help="Open this many rows: personal data.")] = 0,
    json: Json = False,
) -> None:
    """Why rows of a batch may not enter; with --rows, the rows for their department to repair."""
    settings = Settings.load()
    with _reading(settings) as conn:
        why = quarantine.reasons(conn, batch)
        opened = list(quarantine.rows(conn, settings, batch, rows)) if rows else []
    if json:
        _print_json({"reasons": why, "rows": [vars(row) for row in opened]})
        return
    table = Table("reason", "rows")
    for reason, count in why.items():
        table.add_row(reason, str(count))
    Console().print(table)
    for row in opened:
        typer.echo(f"{row.row_number} {', '.join(row.reasons)} {orjson.dumps(row.row).decode()}")


@app.command("as-of")
def as_of(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as real_estate.unit.")],
    at: Annotated[str, typer.Argument(help="A moment, such as 2026-11-22T08:00:00+08:00.")],
) -> None:
    """What a dataset said of one row at a past moment; the row's key is read from standard input.

    The key is one value a line, in the order of the contract. It is no argument, because arguments
    are seen by every user of this machine and kept in the shell's history.
    """
    key = [line.strip() for line in typer.get_text_stream("stdin") if line.strip()]
    with _reading(Settings.load()) as conn:
        row = history.as_of(conn, dataset, key, datetime.fromisoformat(at))
    _print_json(row)
    if row is None:
        raise typer.Exit(1)


@contextmanager
def _reading(settings: Settings) -> Iterator[psycopg.Connection]:
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        yield conn


@contextmanager
def _progress(what: str, quiet: bool) -> Iterator[None]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as shown:
        shown.add_task(what, total=None)
        yield


def _line(batch: Batch) -> list[str]:
    figures = [str(batch.counts.get(name, "")) for name in FIGURES]
    published = f"{batch.published_at:%m-%d %H:%M}" if batch.published_at else ""
    return [str(batch.id), batch.source, batch.state, *figures, published]


def _described(batch: Batch) -> dict[str, Any]:
    return {name: value for name, value in vars(batch).items() if name != "lease"}


def _print_outcome(outcome: Outcome, json: bool) -> None:
    if json:
        _print_json(vars(outcome))
        return
    table = Table(
        "place", "rows", title=f"batch {outcome.batch} of {outcome.source}: {outcome.state}"
    )
    for name, count in _figures(outcome.counts):
        table.add_row(name, f"{count:,}")
    Console().print(table)


def _figures(counts: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name in ("landed", *PLACES):
        yield name, counts.get(name, 0)
    for group in ("mended", "flagged", "reasons"):
        for name, count in counts.get(group, {}).items():
            yield f"{group} {name}", count


def _print_json(value: Any) -> None:
    typer.echo(orjson.dumps(value, default=str).decode())
