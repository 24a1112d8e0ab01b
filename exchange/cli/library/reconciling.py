"""`reconcile`: count again, both legs."""

from __future__ import annotations

from typing import Annotated

import typer

from exchange.cli.library.printing import Json, print_json, progress, reading, source_named
from exchange.libraries import journey
from exchange.libraries.batches import BatchId
from exchange.settings import Settings
from schemas.errors import NotFound


def reconcile(
    what: Annotated[
        str, typer.Argument(metavar="BATCH|SOURCE", help="A batch's number, or a whole source.")
    ],
    json: Json = False,
) -> None:
    """Hold a batch's landed file against the source's totals, and its counts against the rows.

    Of a source: every batch whose file is still kept. Exit status 1 when something does not add up.
    """
    settings = Settings.load()
    gaps = _batch(settings, int(what), json) if what.isdigit() else _source(settings, what, json)
    if gaps:
        raise typer.Exit(1)


def _batch(settings: Settings, batch: BatchId, json: bool) -> list[str]:
    with progress(f"batch {batch}: reconciling", json):
        gaps = journey.audit(settings, batch)
    if json:
        print_json({"batch": batch, "gaps": gaps})
    else:
        typer.echo("\n".join(gaps) or f"batch {batch} adds up")
    return gaps


def _source(settings: Settings, source: str, json: bool) -> list[str]:
    source_named(settings, source)
    found: dict[BatchId, list[str]] = {}
    expired: list[BatchId] = []
    numbers = _published(settings, source)
    with progress(f"{source}: reconciling", json) as (shown, task):
        for place, batch in enumerate(numbers, 1):
            shown.update(task, description=f"{source}: batch {batch}, {place} of {len(numbers)}")
            try:
                found[batch] = journey.audit(settings, batch)
            except NotFound:
                expired.append(batch)
    gaps = [f"batch {batch}: {gap}" for batch, told in found.items() for gap in told]
    if json:
        batches = {str(batch): told for batch, told in found.items()}
        print_json({"source": source, "batches": batches, "expired": expired})
    else:
        _print(source, len(found), expired, gaps)
    return gaps


def _print(source: str, counted: int, expired: list[BatchId], gaps: list[str]) -> None:
    typer.echo("\n".join(gaps) or f"{source}: {counted} batches add up")
    if expired:
        typer.echo(f"{len(expired)} more have expired: only their digests and counts are kept")


def _published(settings: Settings, source: str) -> list[BatchId]:
    with reading(settings) as conn:
        rows = conn.execute(
            "SELECT id FROM library.batch WHERE source = %s AND state = 'published' ORDER BY id",
            (source,),
        )
        return [int(number) for (number,) in rows]
