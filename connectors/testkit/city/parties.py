"""Whom public credit information is about, and when it was decided."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connectors.testkit.city import numbers, words
from connectors.testkit.city.entities import Registrations
from connectors.testkit.city.people import CANARY, Population

STRANGER = numbers.credit_code("91", words.NOW, 800_001)
"""An entity that no register knows."""


@dataclass(frozen=True)
class Hall:
    """Who may be decided about: mostly entities, now and then a person; the canary first."""

    rng: Random
    population: Population
    entities: Registrations

    def party(self, index: int) -> tuple[str, str | None, str | None, str | None]:
        """Name, credit code, resident number, legal representative."""
        canary = index == 0
        if canary or self.rng.random() < 0.15 or not self.entities.active:
            person = (
                self.population.cast[CANARY] if canary else self.rng.choice(self.population.living)
            )
            return person.name, None, person.resident_id, None
        code, name = self.rng.choice(self.entities.active)
        return name, code, None, self.rng.choice(self.population.living).name

    def day(self, first: int = 2019) -> str:
        """A day of some year since then."""
        year = self.rng.randrange(first, 2026)
        return f"{year}-{self.rng.randrange(1, 13):02d}-{self.rng.randrange(1, 29):02d}"


def later(day: str, years: int) -> str:
    """The same day, so many years on."""
    return f"{int(day[:4]) + years}{day[4:]}"
