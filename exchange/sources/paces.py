"""Whether a schedule can be kept, and whether sources that share something agree about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from connectors.feeds import Manifest

SOONEST = timedelta(seconds=10)
_CRON = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_NAMES = re.compile(
    r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat", re.IGNORECASE
)


def slips(manifest: Manifest, others: Iterable[Manifest]) -> Iterator[str]:
    """What is wrong with the schedule, the pool and the neighbours."""
    if manifest.interval is None:
        yield from _cron_slips(manifest.schedule)
    elif manifest.interval < SOONEST:
        yield f"every {manifest.schedule} is sooner than a run takes; at least 10s"
    expected = manifest.expected
    if expected and manifest.interval and expected.interval < manifest.interval:
        yield f"a batch is expected every {expected.every} and asked for every {manifest.schedule}"
    for other in others:
        if other.source == manifest.source:
            continue
        if other.dataset == manifest.dataset:
            yield (
                f"{other.source} brings {manifest.dataset} too: a whole delivery of one removes "
                "what the other brought"
            )
        if other.system and other.system == manifest.system and other.pool != manifest.pool:
            yield (
                f"{other.source} allows {other.pool} runs at once at {other.system}, this one "
                f"{manifest.pool}: the larger counts"
            )


def _cron_slips(schedule: str) -> Iterator[str]:
    for part, (name, least, most) in zip(schedule.split(" "), _CRON, strict=True):
        if not all(_fits(each, least, most) for each in part.split(",")):
            yield f"{part} is no {name} of a cron expression ({least} to {most})"


def _fits(said: str, least: int, most: int) -> bool:
    span, _, step = said.partition("/")
    if step and not (step.isdecimal() and int(step)):
        return False
    if span == "*":
        return True
    ends = span.split("-")
    if len(ends) > 2:
        return False
    numbers = [int(end) for end in ends if end.isdecimal()]
    if len(numbers) < len(ends):
        return all(_NAMES.fullmatch(end) for end in ends)
    return all(least <= number <= most for number in numbers) and numbers == sorted(numbers)
