"""`quality`, `alerts`: how good the libraries are, and what is wrong just now."""

from __future__ import annotations

from typing import Annotated

import typer

from exchange.cli.library.printing import (
    Json,
    dataset_named,
    print_json,
    print_table,
    progress,
    reading,
    whoever,
)
from exchange.libraries import alerts as alerting
from exchange.libraries import quality as judgement
from exchange.libraries.alerts import Alert
from exchange.libraries.quality import Score
from exchange.settings import Settings


def quality(
    dataset: Annotated[str | None, typer.Argument(help="Only this dataset's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many days.")] = 20,
    rules: Annotated[bool, typer.Option("--rules", help="Every rule of each day.")] = False,
    json: Json = False,
) -> None:
    """The score of each dataset and day, and the rule that moved it most since the day before."""
    with reading(Settings.load()) as conn:
        named = dataset and dataset_named(dataset)
        found = judgement.scores(conn, dataset=named, limit=limit)
    if json:
        print_json([_told(score) for score in found])
        return
    print_table(
        ("dataset", "day", "score", "before", "moved by", "points", *judgement.POINTS),
        (
            (
                *(score.dataset, score.day, score.score, score.score_before),
                *(score.moved_by, score.moved_points),
                *(score.dimensions.get(name) for name in judgement.POINTS),
            )
            for score in found
        ),
    )
    if rules:
        _print_rules(found)


def alerts(
    closed: Annotated[int, typer.Option(min=0, help="Show so many closed ones too.")] = 0,
    acknowledge: Annotated[
        int | None, typer.Option(metavar="ALERT", help="Note that you know of this one.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who knows; default: your account.")] = "",
    json: Json = False,
) -> None:
    """Look for batches that are missing or bad, and tell; exit status 1 while any alert is open."""
    settings = Settings.load()
    if acknowledge is not None:
        alerting.acknowledge(settings, acknowledge, by=whoever(by))
    with progress("looking at every source", json):
        found = alerting.look(settings)
        if closed:
            with reading(settings) as conn:
                found = alerting.listed(conn, closed=closed)
    if json:
        print_json([vars(alert) for alert in found])
    elif found:
        _print_alerts(found)
    else:
        typer.echo("every source is well")
    if any(alert.closed_at is None for alert in found):
        raise typer.Exit(1)


def _print_alerts(found: list[Alert]) -> None:
    print_table(
        ("alert", "what", "source", "batch", "opened", "known to", "closed", "why"),
        (
            (
                *(
                    alert.id,
                    alert.kind,
                    alert.source,
                    alert.batch,
                    f"{alert.opened_at:%m-%d %H:%M}",
                ),
                alert.acknowledged_by,
                f"{alert.closed_at:%m-%d %H:%M}" if alert.closed_at else None,
                alert.message,
            )
            for alert in found
        ),
    )


def _print_rules(found: list[Score]) -> None:
    print_table(
        ("dataset", "day", "rule", "dimension", "failing", "of", "points lost"),
        (
            (score.dataset, score.day, name, rule.dimension, rule.failing, rule.looked, rule.cost)
            for score in found
            for name, rule in sorted(score.rules.items(), key=lambda each: -each[1].cost)
            if rule.failing
        ),
    )


def _told(score: Score) -> dict[str, object]:
    rules = {name: {**vars(rule), "cost": rule.cost} for name, rule in score.rules.items()}
    return {**vars(score), "rules": rules}
