"""`yizhan library`: what data engineers do with batches when no scheduler does it for them.

Every command prints for people, and JSON for programs with `--json`; what takes long shows on
standard error how far it is. Nothing here decides anything: each command is a call or two.
"""

from __future__ import annotations

import typer

from exchange.cli.library import (
    judging,
    listing,
    loading,
    quarantined,
    reconciling,
    repairing,
)

app = typer.Typer(no_args_is_help=True)

app.command("list")(listing.list_)
app.command("show")(listing.show)
app.command("as-of")(listing.as_of)
app.command("plan")(loading.plan)
app.command("run")(loading.run)
app.command("follow")(loading.follow)
app.add_typer(quarantined.app, name="quarantine")
app.command("repair")(repairing.repair)
app.command("replay")(loading.replay)
app.command("reconcile")(reconciling.reconcile)
app.command("release")(loading.release)
app.command("reject")(loading.reject)
app.command("quality")(judging.quality)
app.command("alerts")(judging.alerts)
