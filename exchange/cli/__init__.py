"""The command line: `yizhan …`. Each room has a file; this one only mounts them.

An error of ours is one line that says what to do next, and exit status 1; never a traceback.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from exchange.cli import call, db, demo, identity, ledger, library, licenses, source, start
from schemas.errors import Unavailable, YizhanError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Yizhan (驿站): a data-sharing exchange and electronic-license hub.",
)
app.add_typer(source.app, name="source", help="Sources: add, list, try before a schedule.")
app.add_typer(library.app, name="library", help="Libraries: collect, check, replay, reconcile.")
app.add_typer(identity.app, name="identity", help="Identity: aliases, merges, the review queue.")
app.add_typer(ledger.app, name="ledger", help="The ledger: verify it, prove one entry.")
app.add_typer(licenses.app, name="license", help="Licenses: list, show, revoke, suspend.")
app.add_typer(db.app, name="db", help="The database: grants, upgrade.")
app.add_typer(demo.app, name="demo", help="A city in a box: departments, licenses, a case.")
app.command("call")(call.call)
app.command("verify")(licenses.verify)
app.command("start")(start.start)


def main() -> None:
    """Run the command; errors of ours become one line."""
    try:
        app()
    except YizhanError as err:
        again = " It may work if you try again." if isinstance(err, Unavailable) else ""
        Console(stderr=True).print(f"[red]{err.code}[/red]: {err.message}{again}", highlight=False)
        sys.exit(1)
