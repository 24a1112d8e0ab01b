"""The city's public credit information: permits, penalties, lists of breaches, repairs."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connectors.testkit.city import breaches, decisions
from connectors.testkit.city.entities import Registrations
from connectors.testkit.city.parties import Hall
from connectors.testkit.city.people import Population
from connectors.testkit.city.table import Table

FEWEST = 100


@dataclass(frozen=True)
class Credit:
    """The four tables, and what is true of the entities in them once all are loaded.

    `penalised` have a penalty that stands and was not repaired; `listed` are on a list now.
    """

    tables: list[Table]
    penalised: set[str]
    listed: set[str]


def judge(rng: Random, people: int, population: Population, entities: Registrations) -> Credit:
    """Decide on permits, penalties and lists, plant the defects, and keep the truth of it."""
    hall = Hall(rng, population, entities)
    permits = decisions.permits(hall, max(FEWEST, people // 20))
    penalties = decisions.penalties(hall, max(FEWEST, people // 100))
    lists = breaches.lists(hall, max(FEWEST, people // 500))
    repairs = breaches.repairs(hall, penalties, lists)
    repaired = breaches.repaired(repairs)
    return Credit(
        [
            decisions.permit_table(permits),
            decisions.penalty_table(penalties),
            breaches.list_table(lists),
            breaches.repair_table(repairs),
        ],
        penalised={
            str(row["CF_XDR_SHXYM"])
            for row in penalties.sound
            if row["CF_XDR_SHXYM"] and row["CF_ZT"] == "0" and row["CF_WSH"] not in repaired
        },
        listed={str(row["SHXYM"]) for row in lists.sound if row["SHXYM"] and row["DQZT"] == "在列"},
    )
