"""`yizhan identity`: who is who, and what people decide about it.

Numbers are read from standard input, one a line: arguments are seen by every user of this machine
and kept in the shell's history. Proposals are shown by their number in the queue; which two persons
are meant is printed only when asked for.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import orjson
import psycopg
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from exchange.database import Role, without_detail
from exchange.identity import decisions, linkage, resolving, review
from exchange.identity.decisions import Decision
from exchange.identity.review import Candidate, State
from exchange.settings import Settings
from exchange.subjects import IDENTIFIERS
from schemas.errors import Invalid
from schemas.grant import Subject

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the decision.")]
By = Annotated[str, typer.Option("--by", help="Who decides; it is kept with the decision.")]
Kind = Annotated[str, typer.Option("--kind", help="The kind of number: resident, uscc, …")]
Proposal = Annotated[int, typer.Argument(metavar="PROPOSAL", help="Its number, as `review` shows.")]


@app.command("aliases")
def aliases_(
    kind: Kind = "resident",
    at: Annotated[
        str | None, typer.Option(help="As of a moment, such as 2026-11-22T08:00:00+08:00.")
    ] = None,
    json: Json = False,
) -> None:
    """For whom a number stands and through what, with every alias and decision about it.

    The number is read from standard input.
    """
    (number,) = _numbers(1)
    with _library() as conn:
        told = _told(conn, kind, number, datetime.fromisoformat(at) if at else None)
    if json:
        _print_json(told)
        return
    typer.echo(f"stands for {told['subject']}")
    _print_table(told["aliases"], ("alias", "subject", "rule", "source", "batch", "since", "until"))
    _print_table(told["decisions"], ("id", "deed", "by", "reason", "at"))


@app.command("review")
def review_(
    state: Annotated[State, typer.Option(help="Which proposals.")] = State.PROPOSED,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="Print the two numbers: personal data.")
    ] = False,
    json: Json = False,
) -> None:
    """Pairs that may be one subject, the likeliest first, and what speaks for each."""
    with _library() as conn:
        found = review.waiting(conn, state=state, limit=limit)
    shown = [_described(candidate, numbers=numbers) for candidate in found]
    if json:
        _print_json(shown)
        return
    _print_table(
        shown, ("id", "study", "score", *(("number", "subject") if numbers else ()), "why")
    )


@app.command()
def confirm(
    proposal: Proposal,
    reason: Reason,
    by: By = "",
    swap: Annotated[bool, typer.Option("--swap", help="The other number is to stay.")] = False,
) -> None:
    """Merge a proposed pair: one of its numbers stands for the other from now on."""
    with _deciding() as conn:
        decisions.confirm(conn, proposal, by=by or getpass.getuser(), reason=reason, swap=swap)
    typer.echo(f"proposal {proposal} is confirmed; calls and joins follow it from now on")


@app.command()
def reject(proposal: Proposal, reason: Reason, by: By = "") -> None:
    """Remember that a proposed pair is two; it is not proposed again."""
    with _deciding() as conn:
        decisions.reject(conn, proposal, by=by or getpass.getuser(), reason=reason)
    typer.echo(f"proposal {proposal} is rejected; it is not proposed again")


@app.command()
def merge(reason: Reason, by: By = "", kind: Kind = "resident") -> None:
    """Let one number stand for another; standard input holds the first, then the one that stays."""
    number, into = _numbers(2)
    with _deciding() as conn:
        done = decisions.merge(conn, kind, number, into, by=by or getpass.getuser(), reason=reason)
    _print_decision(done)


@app.command()
def unmerge(reason: Reason, by: By = "", kind: Kind = "resident") -> None:
    """Let a number stand for itself again; it is read from standard input."""
    (number,) = _numbers(1)
    with _deciding() as conn:
        done = decisions.unmerge(conn, kind, number, by=by or getpass.getuser(), reason=reason)
    _print_decision(done)


@app.command()
def link(
    likely: Annotated[
        float, typer.Option(min=0.5, max=1, help="Propose pairs of this probability and more.")
    ] = linkage.LIKELY,
    json: Json = False,
) -> None:
    """Look for persons with two numbers, and queue them for review; nothing is merged."""
    found = [asdict(each) for each in linkage.link(Settings.load().database, likely=likely)]
    if json:
        _print_json(found)
        return
    _print_table(found, ("study", "persons", "likely", "proposed"))


@contextmanager
def _library() -> Iterator[psycopg.Connection]:
    with without_detail(), Settings.load().database.connect(Role.INGEST) as conn:
        yield conn


@contextmanager
def _deciding() -> Iterator[psycopg.Connection]:
    with _library() as conn:
        yield conn
        conn.commit()


def _numbers(count: int) -> list[str]:
    given = [line.strip() for line in typer.get_text_stream("stdin") if line.strip()]
    if len(given) != count:
        raise Invalid(
            f"standard input must hold {count} numbers, one a line; it holds {len(given)}"
        )
    return given


def _told(conn: psycopg.Connection, kind: str, number: str, at: datetime | None) -> dict[str, Any]:
    types = {known: name for name, known in IDENTIFIERS.items()}
    found = resolving.resolve(conn, Subject(types.get(kind, kind), number), at)
    spellings = {resolving.spelled(number), found.subject.id}
    spellings |= {alias.alias for alias in found.through}
    aliases = {each.id: each for text in spellings for each in resolving.of(conn, kind, text)}
    taken = {each.id: each for text in spellings for each in decisions.taken(conn, kind, text)}
    return {
        "subject": found.subject.id,
        "through": [alias.id for alias in found.through],
        "aliases": [asdict(each) for _, each in sorted(aliases.items())],
        "decisions": [asdict(each) for _, each in sorted(taken.items())],
    }


def _described(candidate: Candidate, *, numbers: bool) -> dict[str, Any]:
    why = "; ".join(f"{what}: {level}" for what, level in candidate.explanation.items())
    told = {**asdict(candidate), "score": round(candidate.score, 4), "why": why}
    return told if numbers else {k: v for k, v in told.items() if k not in ("number", "subject")}


def _print_decision(done: Decision) -> None:
    typer.echo(f"decision {done.id}: {done.deed}; calls and joins follow it from now on")


def _print_table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    table = Table(*columns, box=box.SIMPLE)
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    Console().print(table)


def _print_json(value: Any) -> None:
    typer.echo(orjson.dumps(value, default=str).decode())
