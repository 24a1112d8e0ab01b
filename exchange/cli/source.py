"""`yizhan source`: add a source by looking at it, list them, try one before it is scheduled.

A source is a file of YAML, and a dataset another: `new` writes both from the living source, with
what a person must decide marked TODO. Nothing that a row says is ever printed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from connectors.feeds import load_manifest
from exchange.cli.library.printing import Json, print_json, print_table
from exchange.sources import adding, checks
from exchange.sources.adding import Added, Wanted
from exchange.sources.folders import Folders
from schemas.contract import load as contract_of
from schemas.errors import Invalid, YizhanError

app = typer.Typer(no_args_is_help=True)


class Kind(StrEnum):
    """The kinds of feed."""

    SQL_CHANGES = "sql_changes"
    SQL_CURSOR = "sql_cursor"
    SQL_SNAPSHOT = "sql_snapshot"
    POSTGRES_REPLICATION = "postgres_replication"
    FILE_DROP = "file_drop"
    HTTP_PAGES = "http_pages"
    PROVINCIAL_EXCHANGE = "provincial_exchange"
    PYTHON = "python"


# The option that names the variable with the address, by kind: its setting and the variable's end.
ADDRESS: Mapping[Kind, tuple[str, str]] = {
    Kind.SQL_CHANGES: ("connection", "DSN"),
    Kind.SQL_CURSOR: ("connection", "DSN"),
    Kind.SQL_SNAPSHOT: ("connection", "DSN"),
    Kind.POSTGRES_REPLICATION: ("connection", "DSN"),
    Kind.FILE_DROP: ("folder", "FOLDER"),
    Kind.HTTP_PAGES: ("base_url", "URL"),
    Kind.PROVINCIAL_EXCHANGE: ("base_url", "URL"),
}
_Text = str | None


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What to call the source, such as stalls.")],
    kind: Annotated[Kind, typer.Option(help="How it is read.")],
    dataset: Annotated[
        _Text, typer.Option(help="What it brings: a dataset that is there, or a new one.")
    ] = None,
    owner: Annotated[_Text, typer.Option(help="Whose it is; of a new dataset.")] = None,
    authority: Annotated[
        _Text, typer.Option(help="The owner's unified social credit code, if it is not known.")
    ] = None,
    title: Annotated[_Text, typer.Option(help="The new dataset's Chinese name.")] = None,
    connection: Annotated[
        _Text, typer.Option(help="The variable that holds the database's address.")
    ] = None,
    table: Annotated[_Text, typer.Option(help="SQL: the table, with its schema.")] = None,
    cursor: Annotated[
        _Text, typer.Option(help="sql_cursor: the column that says what is new.")
    ] = None,
    folder: Annotated[_Text, typer.Option(help="The variable that holds the folder.")] = None,
    whole: Annotated[_Text, typer.Option(help="Files: name of whole ones, x_{date}.csv.")] = None,
    changes: Annotated[_Text, typer.Option(help="Files: name of increments.")] = None,
    url: Annotated[_Text, typer.Option(help="The variable that holds the base address.")] = None,
    path: Annotated[_Text, typer.Option(help="http_pages: the path below it.")] = None,
    reader: Annotated[_Text, typer.Option(help="python: package.module:function.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting of the feed: log=rkk.bg, paging.size=200."),
    ] = None,
    key: Annotated[_Text, typer.Option(help="The columns that tell rows apart: A,B.")] = None,
    call: Annotated[
        list[str] | None, typer.Option(help="What to call a column: 摊位编号=stall_no; repeat.")
    ] = None,
    codes: Annotated[
        list[str] | None, typer.Option(help="Make a code list of this column's values; repeat.")
    ] = None,
    schedule: Annotated[str, typer.Option(help="How often: 15s, 1m, 2h, 1d or cron.")] = "1h",
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows to look at.")] = 1000,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
    json: Json = False,
) -> None:
    """Look at a living source and write its manifest, and a contract where its dataset is new."""
    said = {
        "connection": connection,
        "table": table,
        "cursor": cursor,
        "folder": folder,
        "whole": whole,
        "changes": changes,
        "base_url": url,
        "path": path,
        "reader": reader,
    }
    wanted = Wanted(
        name,
        _feed(name, kind, said, set_ or ()),
        dataset=dataset,
        owner=owner,
        authority=authority,
        title=title,
        schedule=schedule,
        key=[each.strip() for each in key.split(",")] if key else (),
        codes=codes or (),
        called=dict(_call(each) for each in call or ()),
        rows=rows,
    )
    folders = Folders.found()
    added = adding.propose(wanted, folders, os.environ, anew=force)
    adding.write(added, folders, force=force)
    print_json(_described(added)) if json else _print_added(added)


@app.command("list")
def list_(json: Json = False) -> None:
    """Every source: what it brings, how it is read, how often, whose it is."""
    found = [_line(path) for path in sorted(Folders.found().sources.glob("*.yaml"))]
    if json:
        print_json(found)
        return
    print_table(("source", "dataset", "kind", "schedule", "owner"), (row.values() for row in found))


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A source, by the name in its manifest.")],
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows to look at.")] = 1000,
    json: Json = False,
) -> None:
    """Try a source before it is scheduled; nothing is written anywhere.

    Exit status 1 when something would not work.
    """
    found = checks.check(name, Folders.found(), os.environ, rows)
    if json:
        print_json([vars(each) for each in found])
    else:
        for each in found:
            _print_check(each)
    if any(each.state == "wrong" for each in found):
        raise typer.Exit(1)


def _feed(
    name: str, kind: Kind, said: Mapping[str, _Text], settings: list[str] | tuple[()]
) -> dict[str, Any]:
    """The feed's settings, with the usual variable's name where none was given."""
    feed: dict[str, Any] = {"kind": kind.value}
    if kind in ADDRESS:
        setting, ending = ADDRESS[kind]
        feed[setting] = f"YIZHAN_SOURCE_{name.upper().replace('-', '_')}_{ending}"
    feed |= {setting: value for setting, value in said.items() if value is not None}
    for each in settings:
        _set(feed, each)
    if kind is Kind.HTTP_PAGES:
        feed.setdefault("paging", {"by": "one"})
    return feed


def _call(said: str) -> tuple[str, str]:
    column, equals, name = said.rpartition("=")
    if not equals or not column or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise Invalid(f"--call {said}: write it as COLUMN=our_name")
    return column, name


def _set(feed: dict[str, Any], said: str) -> None:
    """Put one `a.b=value` into the settings; the value is read as YAML."""
    place, equals, value = said.partition("=")
    if not equals or not place:
        raise Invalid(f"--set {said}: write it as setting=value")
    *steps, last = place.split(".")
    within = feed
    for step in steps:
        within = within.setdefault(step, {})
        if not isinstance(within, dict):
            raise Invalid(f"--set {said}: {step} is no group of settings")
    try:
        within[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise Invalid(f"--set {place}: its value is not well formed") from None


def _line(path: Path) -> dict[str, Any]:
    try:
        manifest = load_manifest(path)
    except YizhanError:
        wrong = f"{path.name} cannot be read: yizhan source check {path.stem}"
        return {"source": path.stem, "dataset": "", "kind": "", "schedule": "", "owner": wrong}
    return {
        "source": manifest.source,
        "dataset": manifest.dataset,
        "kind": manifest.feed.kind,
        "schedule": manifest.schedule,
        "owner": manifest.owner,
    }


def _described(added: Added) -> dict[str, Any]:
    return {
        "source": added.source,
        "dataset": added.dataset,
        "new_dataset": added.is_new,
        "files": [str(path) for path in added.files],
        "key": list(added.key),
        "other_keys": [list(other) for other in added.other_keys],
        "cursors": list(added.cursors),
        "sample": {name: value for name, value in vars(added.tried).items() if name != "drift"},
        "todo": {path: list(lines) for path, lines in added.todo.items()},
    }


def _print_added(added: Added) -> None:
    for line in _told(added):
        typer.echo(line)


def _told(added: Added) -> Iterator[str]:
    tried = added.tried
    for path in added.files:
        yield f"wrote {_near(path)}"
    what = "a new dataset" if added.is_new else contract_of(added.dataset).name_zh
    yield f"{added.source} brings {added.dataset} ({what}), by {', '.join(added.key)}"
    yield f"of {tried.rows:,} rows looked at {tried.quarantined:,} would be refused"
    yield from (f"  {count:,} × {reason}" for reason, count in tried.reasons.items())
    decisions = Counter(
        (Path(name).name, each)
        for name, lines in added.todo.items()
        for line in lines
        for each in line.split("; ")
    )
    if decisions:
        yield "to decide, marked TODO in the files:"
    for (name, line), times in decisions.items():
        yield f"  {name}: {line}{f' ({times} times)' if times > 1 else ''}"
    yield f"next: yizhan source check {added.source}"


def _near(path: Path) -> Path:
    """The path as one would type it from here."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


_MARKS = {"right": "✓", "wrong": "✗", "unsure": "!"}


def _print_check(found: checks.Finding) -> None:
    typer.echo(f"{_MARKS[found.state]} {found.what:<12}{found.said}")
    if found.next:
        typer.echo(f"  → {found.next}")
