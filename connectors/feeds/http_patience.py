"""How long to wait before asking again, and when to ask no more: decisions without a wire.

A source that names a pause (429 or 503 with Retry-After, RFC 9110 10.2.3) gets it, as long as the
patience of one question lasts. One that only breaks gets a few tries with growing pauses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be another one soon: RFC 9110 15.5.9, 15.6; RFC 8470 5.2; RFC 6585 4."""


@dataclass
class Patience:
    """What is left of it for one question."""

    seconds: float
    tries: int
    waited: int = 0

    def pause(self, said: float | None) -> float | None:
        """Seconds to wait before the next try; None when there is none."""
        pause = min(FIRST_PAUSE * 2.0**self.waited, LONGEST_PAUSE)
        if said is None:
            self.tries -= 1
        else:
            pause = max(pause, said)
        if self.tries < 1 or pause > self.seconds:
            return None
        self.seconds -= pause
        self.waited += 1
        return pause


def asked_pause(headers: Mapping[str, str], now: datetime) -> float | None:
    """The pause that Retry-After asks for, in seconds or by a date; None when it asks for none.

    A date is held against the answer's own Date, so that two clocks need not agree.
    """
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    until = http_date(said)
    if until is None:
        return None
    return max(0.0, (until - (http_date(headers.get("date", "")) or now)).total_seconds())


def http_date(said: str) -> datetime | None:
    """A date of HTTP (RFC 9110 5.6.7), or None when it is none."""
    try:
        found = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
