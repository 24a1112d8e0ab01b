"""`quarantine`: what may not enter, why, since when and whose it is; out to who must mend it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from typer.core import TyperGroup

from connectors.feeds import load_manifests
from exchange.cli.library.printing import (
    By,
    Json,
    Number,
    Reason,
    Source,
    print_json,
    print_table,
    progress,
    reading,
    source_named,
    whoever,
)
from exchange.libraries import ageing, quarantine, returns
from exchange.settings import Settings


class NumberMeansShow(TyperGroup):
    """`quarantine 12` is `quarantine show 12`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in that a batch's number stands for (the context is Typer's own)."""
        if any(arg.isdigit() for arg in args) and not set(args) & self.commands.keys():
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=NumberMeansShow,
    no_args_is_help=True,
    help="Rows that may not enter: why, since when, and the way back. A number shows its batch.",
)


@app.command()
def show(
    batch: Number,
    rows: Annotated[int, typer.Option(min=0, help="Open this many rows: personal data.")] = 0,
    json: Json = False,
) -> None:
    """Why rows of a batch may not enter; with --rows, the rows for their department to repair."""
    settings = Settings.load()
    with reading(settings) as conn:
        why = quarantine.reasons(conn, batch)
        opened = list(quarantine.rows(conn, settings, batch, rows)) if rows else []
    if json:
        print_json({"reasons": why, "rows": [vars(row) for row in opened]})
        return
    print_table(("reason", "rows"), why.items())
    for row in opened:
        place = f"{row.batch}/{row.row_number} {row.state}"
        typer.echo(f"{place} {', '.join(row.reasons)} {orjson.dumps(row.row).decode()}")


@app.command("list")
def list_(json: Json = False) -> None:
    """Every source with rows in quarantine: how many, how old, whose, and for what most."""
    settings = Settings.load()
    with reading(settings) as conn:
        found = ageing.standings(conn, load_manifests(settings.sources))
    if json:
        print_json([vars(standing) for standing in found])
        return
    print_table(
        ("source", "open", *_AGES, "oldest", "repaired", "waived", "owner", "most of all"),
        (
            (
                standing.source,
                standing.open,
                *(standing.ages.get(age, 0) for age in _AGES),
                f"{standing.oldest:%Y-%m-%d}" if standing.oldest else None,
                standing.states.get("repaired", 0),
                standing.states.get("waived", 0),
                " ".join(filter(None, (standing.owner, standing.contact))),
                next(iter(standing.reasons), None),
            )
            for standing in found
        ),
    )


_AGES = tuple(ageing.AGES)


@app.command()
def trend(
    source: Annotated[str | None, typer.Argument(help="Only this source's.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many.")] = 14,
    json: Json = False,
) -> None:
    """By day: rows that were new, rows that were settled, rows that stayed open."""
    with reading(Settings.load()) as conn:
        found = ageing.trend(conn, days=days, source=source)
    if json:
        print_json([vars(day) for day in found])
        return
    print_table(
        ("day", "source", "new", "settled", "open"),
        ((day.day, day.source, day.new, day.settled, day.open) for day in found),
    )


@app.command()
def export(
    source: Source,
    file: Annotated[Path, typer.Argument(help="A new file, .csv or .parquet: personal data.")],
    batch: Annotated[int | None, typer.Option(help="Only what this batch refused.")] = None,
    json: Json = False,
) -> None:
    """Write a source's open rows to a file that only you can read."""
    settings = Settings.load()
    source_named(settings, source)
    with progress(f"{source}: opening rows", json):
        rows = returns.export(settings, source, file, batch=batch)
    if json:
        print_json({"source": source, "file": str(file), "rows": rows})
    else:
        typer.echo(f"{rows:,} rows are in {file}; fill in what is wrong and hand it to `repair`")


@app.command("return")
def return_(source: Source, json: Json = False) -> None:
    """Write the return file of a source, for its department to repair."""
    settings = Settings.load()
    source_named(settings, source)
    with progress(f"{source}: opening rows", json):
        given = returns.give_back(settings, source, datetime.now(UTC))
    if json:
        print_json(vars(given))
    elif given.rows:
        typer.echo(f"{given.rows:,} rows are in {given.place}")
    else:
        typer.echo(f"{source} has nothing open; no file was written")


@app.command()
def waive(
    batch: Number,
    rows: Annotated[list[int], typer.Argument(metavar="ROW...", help="Numbers of rows in it.")],
    reason: Reason,
    by: By = "",
) -> None:
    """Settle rows that nobody will repair."""
    with reading(Settings.load()) as conn:
        waived = quarantine.waive(conn, batch, rows, reason=reason, by=whoever(by))
        conn.commit()
    typer.echo(f"{waived} rows of batch {batch} are waived")
