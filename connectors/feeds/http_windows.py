"""Which stretch of an HTTP source a pull reads: between two positions, two moments, or all of it.

Moments are the source's own: its clock is read from the Date of an answer (RFC 9110 6.6.1), so that
a clock of ours that runs ahead loses nothing. In the ledger they are ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.feeds.http_settings import ByTime
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Window

BEHIND_AT_MOST = timedelta(minutes=5)
"""How far a source's clock may seem to go back before somebody must look at it."""


def snapshot(now: datetime) -> Window:
    """All of it, as it is now."""
    return Window("snapshot", None, written(now, fine=True))


def between_positions(manifest: Manifest, cursor: str | None, position: int) -> Window | None:
    """What was numbered after `cursor`. Raises `PermanentFailure` when the numbers went back."""
    if cursor is None:
        return Window("snapshot", None, str(position))
    last = int(cursor)
    if position < last:
        raise manifest.wrong(
            f"the position went back from {last} to {position}: was the system restored? Its "
            "changes would be lost; have it loaded whole again once that is known"
        )
    return Window("changes", cursor, str(position)) if position > last else None


def between_moments(manifest: Manifest, cursor: str | None, now: datetime) -> Window | None:
    """What changed after `cursor` by the source's clock, which says `now`."""
    if cursor is None:
        return Window("snapshot", None, written(now))
    last = read(cursor)
    if now + BEHIND_AT_MOST < last:
        raise manifest.wrong(
            f"its clock is {(last - now).total_seconds():.0f} s behind the end of the last window"
        )
    return Window("changes", cursor, written(now)) if written(now) > cursor else None


def bounds(settings: ByTime, window: Window) -> dict[str, str]:
    """The parameters that ask for a window of time; its beginning looks back."""
    said = {}
    if window.start is not None:
        since = read(window.start) - timedelta(seconds=settings.look_back_s)
        said[settings.since] = spoken(since, settings.form, settings.zone)
    if settings.until is not None:
        said[settings.until] = spoken(read(window.end), settings.form, settings.zone)
    return said


def spoken(moment: datetime, form: str, zone: str) -> str:
    """A moment as a source wants it."""
    match form:
        case "epoch_s":
            return str(int(moment.timestamp()))
        case "epoch_ms":
            return str(int(moment.timestamp() * 1000))
        case "iso":
            return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
    return moment.astimezone(ZoneInfo(zone)).strftime(form)


def written(moment: datetime, *, fine: bool = False) -> str:
    """A moment as the ledger keeps it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds" if fine else "seconds")


def read(cursor: str) -> datetime:
    """A moment that the ledger kept."""
    return datetime.fromisoformat(cursor)


def positions(since: str, until: str, window: Window) -> Mapping[str, str]:
    """The parameters that ask for a window of positions."""
    start = {} if window.mode == "snapshot" else {since: str(window.start)}
    return {**start, until: window.end}
