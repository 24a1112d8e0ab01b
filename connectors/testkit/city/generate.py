"""The whole city from a seed: what every department holds, and the truth of it.

The same seed and size give the same city, byte for byte, on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from connectors.testkit.city.entities import Registrations, register
from connectors.testkit.city.lots import Row
from connectors.testkit.city.people import (
    BUYER,
    CANARY,
    OWNER,
    REFUSED_CANARY,
    Population,
    populate,
)
from connectors.testkit.city.rights import Rights, enter
from connectors.testkit.city.truth import Cast, Truth
from connectors.testkit.city.units import Units, build

SOURCES = Path(__file__).parent / "sources"
"""The manifests of the city's four sources."""

FEWEST = 100


@dataclass(frozen=True)
class City:
    """What the three departments hold, each in its own columns, and what must become of it."""

    residents: list[Row]
    registrations: list[Row]
    units: list[Row]
    rights: list[Row]
    truth: Truth


def generate(seed: int, people: int) -> City:
    """Make a city of `people` residents, a tenth as many entities, a third as many units."""
    if people < FEWEST:
        raise ValueError(f"a city has at least {FEWEST} people")
    population = populate(_dice(seed, "people"), people)
    entities = register(_dice(seed, "entities"), people // 10, population)
    units = build(_dice(seed, "units"), people // 3)
    rights = enter(_dice(seed, "rights"), units, population, entities)
    truth = Truth(
        seed=seed,
        people=people,
        datasets={
            "population.resident": population.expected,
            "legal_entity.registration": entities.expected,
            "real_estate.unit": units.expected,
            "real_estate.right": rights.expected,
        },
        ownership=rights.ownership,
        licensable=_licensable(entities, rights),
        cast=_cast(population, entities, units),
    )
    return City(population.rows, entities.rows, units.rows, rights.rows, truth)


def _dice(seed: int, part: str) -> Random:
    """Dice of each part's own, so that a change in one leaves the others as they were."""
    return Random(f"{seed}:{part}")  # noqa: S311 - it must be repeatable


def _licensable(entities: Registrations, rights: Rights) -> Mapping[str, list[str]]:
    return {
        "business_license": entities.licensable,
        "real_estate_certificate": rights.licensable,
    }


def _cast(population: Population, entities: Registrations, units: Units) -> Cast:
    people = population.cast
    return Cast(
        owner=people[OWNER],
        owner_entity=entities.cast[0],
        unit_no=units.sound[0],
        buyer=people[BUYER],
        buyer_entity=entities.cast[1],
        canaries=(people[CANARY], people[REFUSED_CANARY]),
    )
