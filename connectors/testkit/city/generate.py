"""The whole city from a seed: what every department holds, and the truth of it.

The same seed and size give the same city, byte for byte, on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from connectors.testkit.city import (
    bodies,
    credit,
    funds,
    ground,
    projects,
    tutoring,
    vital,
    welfare,
)
from connectors.testkit.city.entities import Registrations, register
from connectors.testkit.city.lots import Row
from connectors.testkit.city.parties import STRANGER
from connectors.testkit.city.people import (
    BUYER,
    CANARY,
    OWNER,
    REFUSED_CANARY,
    Population,
    populate,
)
from connectors.testkit.city.rights import Rights, enter
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import Cast, Truth
from connectors.testkit.city.units import Units, build

SOURCES = Path(__file__).parent / "sources"
"""The manifests of the city's sources."""

FEWEST = 100


@dataclass(frozen=True)
class City:
    """What the departments hold, each in its own columns, and what must become of it.

    The first four are told in the story; `tables` are the rest, by dataset.
    """

    residents: list[Row]
    registrations: list[Row]
    units: list[Row]
    rights: list[Row]
    tables: Mapping[str, Table]
    truth: Truth


def generate(seed: int, people: int) -> City:
    """Make a city of `people` residents, a tenth as many entities, a third as many units."""
    if people < FEWEST:
        raise ValueError(f"a city has at least {FEWEST} people")
    population = populate(_dice(seed, "people"), people)
    entities = register(_dice(seed, "entities"), people // 10, population)
    units = build(_dice(seed, "units"), people // 3)
    rights = enter(_dice(seed, "rights"), units, population, entities)
    rest = _rest(seed, people, population, entities, units, rights)
    truth = Truth(
        seed=seed,
        people=people,
        datasets={
            "population.resident": population.expected,
            "legal_entity.registration": entities.expected,
            "real_estate.unit": units.expected,
            "real_estate.right": rights.expected,
            **{table.dataset: table.expected for table in rest.tables},
        },
        built={"real_estate_registration.ownership": rights.ownership, **rest.built},
        licensable=_licensable(entities, rights),
        cast=_cast(population, entities, units),
    )
    tables = {table.dataset: table for table in rest.tables}
    return City(population.rows, entities.rows, units.rows, rights.rows, tables, truth)


@dataclass(frozen=True)
class _Rest:
    """The departments beside those of the story, and what is built from what they hold."""

    tables: list[Table]
    built: Mapping[str, Mapping[str, int]]


def _rest(
    seed: int,
    people: int,
    population: Population,
    entities: Registrations,
    units: Units,
    rights: Rights,
) -> _Rest:
    land = ground.survey(_dice(seed, "ground"), units, people)
    judged = credit.judge(_dice(seed, "credit"), people, population, entities)
    insured = funds.insure(_dice(seed, "insurance"), people, population, entities)
    fund = funds.deposit(_dice(seed, "fund"), people, population, entities, rights)
    tutors = tutoring.license_tutors(_dice(seed, "tutoring"), people, population, entities)
    built = projects.plan(_dice(seed, "projects"), people, entities, land)
    clean = tutors.licensed - judged.listed - {STRANGER}
    return _Rest(
        [
            *vital.vital(_dice(seed, "vital"), people, population),
            *welfare.welfare(_dice(seed, "welfare"), people, population, entities),
            *bodies.bodies(_dice(seed, "bodies"), people, population),
            *land.tables,
            *judged.tables,
            insured.table,
            fund.table,
            tutors.table,
            *built.tables,
        ],
        {
            "medical_insurance.entitlement": {
                "rows": len(insured.enrolled),
                "entitled": len(insured.paying),
            },
            "housing_maintenance_fund.account": {
                "rows": len(fund.accounts),
                "must_top_up": len(fund.short),
            },
            "off_campus_tutoring.institution": {
                "rows": len(tutors.holders),
                "penalised": len(tutors.holders & judged.penalised),
                "in_good_standing": len(clean),
            },
            "investment_project.overview": {
                "rows": len(built.codes),
                "completed": len(built.approved),
                "surveyed": len(built.surveyed),
            },
        },
    )


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
