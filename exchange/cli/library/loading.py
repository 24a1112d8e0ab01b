"""`plan`, `run`, `follow`, `replay`, `release`, `reject`: batches on their way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console

from exchange.cli.library.printing import (
    By,
    Json,
    Number,
    Reason,
    Source,
    following,
    print_json,
    print_outcome,
    print_table,
    progress,
    reading,
    source_named,
    whoever,
)
from exchange.libraries import batches, journey, planning, thematic
from exchange.libraries.journey import Outcome
from exchange.libraries.plan import Plan
from exchange.settings import Settings
from schemas.contract import load as contract_of
from schemas.errors import Unavailable

PATIENCE = 300.0  # seconds that `follow` waits at most for a source that does not answer


def plan(source: Source, json: Json = False) -> None:
    """Say what a run would do, and write nothing: drift, reasons, and how much would change.

    Exit status 1 when a person would have to look first.
    """
    settings = Settings.load()
    source_named(settings, source)
    with progress(f"{source}: planning", json):
        planned = planning.plan(settings, source)
    if json:
        print_json(planned and {**vars(planned), "passes": planned.passes})
    elif planned is None:
        typer.echo(f"{source}: nothing new")
    else:
        _print_plan(planned)
    if planned is not None and not planned.passes:
        raise typer.Exit(1)


def run(
    source: Annotated[str, typer.Argument(help="A source, or a thematic dataset to build.")],
    json: Json = False,
) -> None:
    """Collect what is new at a source, or build a thematic dataset."""
    settings = Settings.load()
    if not _is_built(source):
        source_named(settings, source)
    with following(settings, source, json):
        outcome = _run(settings, source)
    if outcome is None:
        print_json(None) if json else typer.echo(f"{source}: nothing new")
        return
    print_outcome(outcome, json)
    _tell(settings, outcome)


def follow(
    source: Source,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 5.0,
    json: Json = False,
) -> None:
    """Collect a source and build what rests on it, again and again, until you stop it.

    A source that does not answer is asked again, ever more rarely; a batch that is held ends it.
    """
    settings = Settings.load()
    source_named(settings, source)
    wait = every
    while True:
        try:
            for outcome in _news(settings, source):
                print_json(vars(outcome)) if json else typer.echo(_in_a_line(outcome))
                _tell(settings, outcome)
            wait = every
        except Unavailable as err:
            wait = min(2 * wait, PATIENCE)
            _aside(f"{source}: {err.message}; asked again in {wait:.0f} s")
        except KeyboardInterrupt:
            return
        if not _slept(wait):
            return


def replay(batch: Number, json: Json = False) -> None:
    """Load a batch again from its Parquet; what later batches wrote stays."""
    settings = Settings.load()
    with progress(f"batch {batch}: replaying", json):
        outcome = journey.replay(settings, batch)
    print_outcome(outcome, json)
    _tell(settings, outcome)


def release(batch: Number, reason: Reason, by: By = "", json: Json = False) -> None:
    """Let a held batch pass its guards, and load it."""
    settings = Settings.load()
    journey.release(settings, batch, reason=reason, by=whoever(by))
    with progress(f"batch {batch}: loading", json):
        outcome = journey.load(settings, batch)
    print_outcome(outcome, json)
    _tell(settings, outcome)


def reject(batch: Number, reason: Reason, by: By = "", json: Json = False) -> None:
    """Put a held batch away; the source is asked for that window again."""
    rejected = journey.reject(Settings.load(), batch, reason=reason, by=whoever(by))
    if json:
        print_json({"batch": batch, "state": rejected.state})
    else:
        typer.echo(f"batch {batch} is rejected; its source is asked again at the next run")


def _is_built(dataset: str) -> bool:
    return dataset in {contract.id for contract in thematic.thematic()}


def _run(settings: Settings, source: str) -> Outcome | None:
    if not _is_built(source):
        return journey.collect(settings, source)
    built = thematic.build(settings, source)
    if built is None:
        return None
    with reading(settings) as conn:
        return Outcome.of(batches.get(conn, built))


def _news(settings: Settings, source: str) -> Iterator[Outcome]:
    """What came of the source's next window, and of the datasets that rest on it."""
    outcome = journey.collect(settings, source)
    if outcome is None:
        return
    yield outcome
    changed = {outcome.dataset}
    for contract in thematic.thematic():  # parents come before what is built from them
        if changed.intersection(contract.parents) and (built := _run(settings, contract.id)):
            changed.add(contract.id)
            yield built


def _tell(settings: Settings, outcome: Outcome) -> None:
    """Tell the lineage, as a scheduled run does, once whoever waits has their answer."""
    from exchange.libraries import lineage  # takes as long to import as all the rest together

    lineage.tell(settings, outcome.batch)


def _in_a_line(outcome: Outcome) -> str:
    told = {name: outcome.counts.get(name) for name in ("inserted", "updated", "deleted")}
    changes = ", ".join(f"{count:,} {name}" for name, count in told.items() if count)
    refused = outcome.counts.get("quarantined")
    return (
        f"batch {outcome.batch} of {outcome.source}: {changes or 'nothing changed'}"
        f"{f', {refused:,} in quarantine' if refused else ''}"
    )


def _slept(seconds: float) -> bool:
    """Wait; False when the person at the keyboard does not want to."""
    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        return False
    return True


def _aside(line: str) -> None:
    Console(stderr=True).print(line, highlight=False, markup=False)


def _print_plan(planned: Plan) -> None:
    start, end = planned.window
    name = contract_of(planned.dataset).name_zh
    typer.echo(f"{planned.source} → {planned.dataset} ({name}), {planned.mode}, {start} → {end}")
    print_table(("what would happen", "rows"), _planned(planned))
    for line in (*(f"drift: {line}" for line in planned.drift), *planned.held):
        typer.echo(f"held  {line}")
    typer.echo("nothing was written" if planned.passes else "a person must look first")


def _planned(planned: Plan) -> Iterator[tuple[str, int]]:
    for name in ("rows", "inserted", "updated", "deleted", "unchanged"):
        yield name, getattr(planned, name)
    for group in ("reasons", "flagged"):
        for name, count in getattr(planned, group).items():
            yield f"{group} {name}", count
