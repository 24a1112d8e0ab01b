"""The command line: `yizhan …`. Each room has a file; this one only mounts them.

A room is imported when it is asked for: all of them together take seconds. An error of ours is one
line that says what to do next, and exit status 1; never a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pkgutil import resolve_name
from types import MappingProxyType

import typer
from rich.console import Console

from schemas.errors import Unavailable, YizhanError

ROOMS: Mapping[str, str] = MappingProxyType(
    {
        "source": "Sources: add, list, try before a schedule.",
        "library": "Libraries: collect, check, replay, reconcile.",
        "identity": "Identity: aliases, merges, the review queue.",
        "ledger": "The ledger: verify it, prove one entry.",
        "license": "Licenses: list, show, revoke, suspend.",
        "db": "The database: grants, upgrade.",
        "demo": "A city in a box: departments, licenses, a case.",
    }
)
"""Each is `exchange.cli.<name>.app`, and the licenses' file has two deeds."""

COMMANDS: Mapping[str, str] = MappingProxyType(
    {"call": "call:call", "verify": "licenses:verify", "start": "start:start"}
)
FILES: Mapping[str, str] = MappingProxyType({"license": "licenses"})


def mounted(only: str | None = None) -> typer.Typer:
    """The command line with every room, or with the one that is asked for."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Yizhan (驿站): a data-sharing exchange and electronic-license hub.",
    )
    app.callback()(lambda: None)  # one room alone would be the command itself
    for name, says in ROOMS.items():
        if only in (None, name):
            room = resolve_name(f"exchange.cli.{FILES.get(name, name)}:app")
            app.add_typer(room, name=name, help=says)
    for name, deed in COMMANDS.items():
        if only in (None, name):
            app.command(name)(resolve_name(f"exchange.cli.{deed}"))
    return app


def main() -> None:
    """Run the command; errors of ours become one line."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        mounted(asked if asked in ROOMS.keys() | COMMANDS.keys() else None)()
    except YizhanError as err:
        again = " It may work if you try again." if isinstance(err, Unavailable) else ""
        Console(stderr=True).print(f"[red]{err.code}[/red]: {err.message}{again}", highlight=False)
        sys.exit(1)
