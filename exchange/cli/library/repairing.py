"""`repair`: rows that come back mended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli.library.printing import (
    By,
    Json,
    Reason,
    Source,
    following,
    print_outcome,
    source_named,
    whoever,
)
from exchange.libraries import repair as repairs
from exchange.libraries import returns
from exchange.settings import Settings


def repair(
    source: Source,
    file: Annotated[
        Path,
        typer.Argument(help="What `quarantine export` wrote, filled in: .csv, .parquet, .jsonl."),
    ],
    reason: Reason,
    by: By = "",
    json: Json = False,
) -> None:
    """Bring repaired rows into the library, as a batch of their own.

    Each row names the one that it repairs (batch, row_number) and holds every column of the source.
    All are taken or none; the same file again does nothing.
    """
    settings = Settings.load()
    source_named(settings, source)
    rows = returns.repaired(file)
    with following(settings, source, json):
        outcome = repairs.repair(settings, source, rows, by=whoever(by), reason=reason)
    print_outcome(outcome, json)
