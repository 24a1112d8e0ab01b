"""What is left of a grant's quota after a call, and the headers that say so.

Pure. Nothing is claimed here; the figures are those that the claim of the call returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from exchange.decide import Rule, Spent
from schemas.grant import Grant

CITY = ZoneInfo("Asia/Shanghai")
MINUTE, DAY = 60, 86_400


@dataclass(frozen=True, slots=True)
class Allowance:
    """The quotas of a grant and what was spent of them at that moment."""

    per_minute: int
    per_day: int
    spent: Spent
    at: datetime

    @classmethod
    def of(cls, grant: Grant, spent: Spent, at: datetime) -> Allowance:
        """What a claim left of a grant."""
        return cls(grant.per_minute, grant.per_day, spent, at)

    def headers(self) -> dict[str, str]:
        """draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4: policies, and what is left."""
        left = list(self._left())
        policies = ", ".join(f'"{name}";q={quota};w={window}' for name, quota, window, _, _ in left)
        rest = ", ".join(f'"{name}";r={rest};t={ends}' for name, _, _, rest, ends in left)
        return {"ratelimit-policy": policies, "ratelimit": rest}

    def retry_after(self, rule: Rule) -> int:
        """In how many seconds that rule would not refuse any more."""
        by_day = rule in (Rule.DAY, Rule.MISSES)
        return self._day_ends() if by_day else self._minute_ends()

    def _left(self) -> Iterator[tuple[str, int, int, int, int]]:
        minute = max(0, self.per_minute - self.spent.minute)
        yield "minute", self.per_minute, MINUTE, minute, self._minute_ends()
        yield "day", self.per_day, DAY, max(0, self.per_day - self.spent.day), self._day_ends()

    def _minute_ends(self) -> int:
        return MINUTE - self.at.second

    def _day_ends(self) -> int:
        """A day of quota is the city's day, as the claim counts it."""
        here = self.at.astimezone(CITY)
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return max(1, int((midnight - here).total_seconds()) + 1)
