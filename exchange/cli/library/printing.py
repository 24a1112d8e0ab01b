"""What the commands of `yizhan library` share: options, connections, JSON, tables, progress."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from threading import Event, Thread
from typing import Annotated, Any

import orjson
import psycopg
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from connectors.feeds import load_manifests
from exchange.database import Role, without_detail
from exchange.libraries import batches, reconcile
from exchange.libraries.batches import State
from exchange.libraries.journey import Outcome
from exchange.settings import Settings
from schemas.contract import all_contracts
from schemas.errors import NotFound, YizhanError

Number = Annotated[
    int, typer.Argument(metavar="BATCH", help="The batch's number, as `list` shows.")
]
Source = Annotated[str, typer.Argument(help="A source, by the name in its manifest.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]
By = Annotated[str, typer.Option("--by", help="Who decides; it is kept. Default: your account.")]

PLACES = (*reconcile.PLACES, "deleted")
LOOK_AGAIN = 1.0  # seconds between two looks at how far a run is
_DOING: Mapping[State | None, str] = {
    None: "asking the source",
    State.LANDING: "landing",
    State.LANDED: "checking and merging",
    State.HELD: "held",
}


@contextmanager
def reading(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection of the ingest role, whose errors repeat no row."""
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        yield conn


def whoever(by: str) -> str:
    """Who was named, or whose account this is."""
    return by or getpass.getuser()


def source_named(settings: Settings, name: str) -> str:
    """The name, if there is such a source. Raises `NotFound` that says what was meant."""
    return _known(
        name, [manifest.source for manifest in load_manifests(settings.sources)], "source"
    )


def dataset_named(name: str) -> str:
    """The name, if there is such a dataset. Raises `NotFound` that says what was meant."""
    return _known(name, [contract.id for contract in all_contracts()], "dataset")


def _known(name: str, known: Iterable[str], what: str) -> str:
    names = sorted(known)
    if name in names:
        return name
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
    raise NotFound(f"there is no {what} {name}; {hint}")


@contextmanager
def progress(what: str, quiet: bool) -> Iterator[tuple[Progress, TaskID]]:
    """A line on standard error that says what is done and for how long."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as shown:
        yield shown, shown.add_task(what, total=None)


@contextmanager
def following(settings: Settings, source: str, quiet: bool) -> Iterator[None]:
    """As `progress`, and where the source's batch is on its way."""
    done = Event()
    with progress(f"{source}: {_DOING[None]}", quiet) as (shown, task):
        looking = Thread(target=_look, args=(settings, source, shown, task, done), daemon=True)
        if not quiet:
            looking.start()
        try:
            yield
        finally:
            done.set()
            if not quiet:
                looking.join()


def _look(settings: Settings, source: str, shown: Progress, task: TaskID, done: Event) -> None:
    """Say where the batch is until it is done; a look that fails shows nothing new."""
    try:
        with without_detail(), settings.database.connect(Role.INGEST, autocommit=True) as conn:
            while not done.wait(LOOK_AGAIN):
                batch = batches.open_of(conn, source)
                where = _DOING.get(batch.state if batch else None, "")
                rows = f", {batch.counts['landed']:,} rows" if batch and batch.counts else ""
                number = f"batch {batch.id}: " if batch else ""
                shown.update(task, description=f"{source}: {number}{where}{rows}")
    except YizhanError:
        return


def print_json(value: Any) -> None:
    """One value, on one line."""
    typer.echo(orjson.dumps(value, default=_plain).decode())


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def print_table(headings: Iterable[str], rows: Iterable[Iterable[object]], title: str = "") -> None:
    """A table without lines, whose first column never wraps."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), title=title or None, title_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0, min_width=min(len(heading), 8))
    for row in rows:
        table.add_row(*(shown(cell) for cell in row))
    Console().print(table)


def shown(value: object) -> str:
    """A cell: numbers with their thousands apart, nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_outcome(outcome: Outcome, json: bool) -> None:
    """What became of a batch."""
    if json:
        print_json(vars(outcome))
        return
    title = f"batch {outcome.batch} of {outcome.source}: {outcome.state}"
    print_table(("place", "rows"), figures(outcome.counts), title)


def figures(counts: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The counts of a batch: where its rows went, then what was mended, flagged and refused."""
    for name in ("landed", *PLACES):
        yield name, counts.get(name, 0)
    for group in ("mended", "flagged", "reasons"):
        for name, count in counts.get(group, {}).items():
            yield f"{group} {name}", count
