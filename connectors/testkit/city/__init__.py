"""A synthetic city: made from a seed, with departments that are real systems.

    city = generate(seed, people)                 everything, and `city.truth`
    population.load(dsn, city.residents, …)       the police: a PostgreSQL database
    registry.drop_whole(folder, day, …)           the market regulator: a drop folder
    open_registry(folder, city); estate_argv(…)   the land registry: an HTTP API, its own process
    transfer(base_url, clerk_token, …)            a house is sold there
    desks.hand_out(…), fill_cloud(…), …           the other departments
    environment(…)                                what the manifests in SOURCES ask for

No person, number, address or company in it is a real one.
"""

from __future__ import annotations

from pathlib import Path

from connectors.testkit.city import desks, population, registry
from connectors.testkit.city.clerk import estate_argv, open_registry, transfer
from connectors.testkit.city.estate_access import Access
from connectors.testkit.city.generate import SOURCES, City, generate
from connectors.testkit.city.truth import Truth

__all__ = [
    "SOURCES",
    "Access",
    "City",
    "Truth",
    "desks",
    "environment",
    "estate_argv",
    "generate",
    "open_registry",
    "population",
    "registry",
    "transfer",
]


def environment(
    *, residents_dsn: str, registrations: Path, estate_url: str, access: Access
) -> dict[str, str]:
    """The variables that the manifests of the story's departments name, for whoever collects."""
    return {
        "YIZHAN_SOURCE_RESIDENTS_DSN": residents_dsn,
        "YIZHAN_SOURCE_REGISTRATIONS_FOLDER": str(registrations),
        "YIZHAN_SOURCE_ESTATE_URL": estate_url,
        "YIZHAN_SOURCE_ESTATE_CLIENT": access.client_id,
        "YIZHAN_SOURCE_ESTATE_SECRET": access.client_secret,
    }
