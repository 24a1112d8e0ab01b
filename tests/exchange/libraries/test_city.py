"""The demo city's three departments as they really answer, and the truth of what they sent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx
import pytest

from connectors.testkit.city import SOURCES, City
from exchange.database import Role
from exchange.libraries import journey, thematic
from exchange.settings import Settings
from tests.connectors.feeds.conftest import (  # noqa: F401 - fixtures
    Police,
    Registry,
    city,
    drop,
    estate,
    office,
    police,
)

SOURCE_OF = {
    "population.resident": "residents",
    "legal_entity.registration": "registrations",
    "real_estate.unit": "units",
    "real_estate.right": "rights",
}
OWNERSHIP = "real_estate_registration.ownership"


@pytest.fixture
def departments(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    police: Police,  # noqa: F811 - pytest hands fixtures in by name
    drop: Path,  # noqa: F811 - pytest hands fixtures in by name
    estate: Registry,  # noqa: F811 - pytest hands fixtures in by name
) -> Settings:
    """Settings whose sources are the city's running departments."""
    settings.sources.symlink_to(SOURCES)
    found = {
        **estate.secrets,
        "YIZHAN_SOURCE_RESIDENTS_DSN": police.reader,
        "YIZHAN_SOURCE_REGISTRATIONS_FOLDER": str(drop),
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return settings


def counted(settings: Settings, sql: str) -> tuple[int, ...]:
    with settings.database.connect(Role.INGEST) as conn:
        row = conn.execute(sql.encode()).fetchone()
    assert row is not None
    return tuple(row)


class TestCity:
    def test_every_row_is_where_the_truth_says(self, departments: Settings, city: City) -> None:  # noqa: F811 - pytest hands fixtures in by name
        """Loaded, doubled, mended and refused rows are the ones planted, in every dataset."""
        for dataset, source in SOURCE_OF.items():
            expected = city.truth.datasets[dataset]

            outcome = journey.collect(departments, source)

            assert outcome is not None
            counts = outcome.counts
            assert expected.rows_sent == counts["landed"], dataset
            assert expected.library_rows == counts["inserted"], dataset
            assert expected.duplicates == counts["duplicate"], dataset
            assert expected.quarantined.total() == counts["quarantined"], dataset
            assert +expected.normalised == Counter(counts["mended"]), dataset
            assert expected.aliases.total() == counts["aliases"], dataset
            assert [] == journey.audit(departments, outcome.batch)

        assert thematic.build(departments, OWNERSHIP) is not None

        ownership = city.truth.ownership
        assert (ownership.rows, ownership.mortgaged, ownership.seized) == counted(
            departments,
            "SELECT count(*), count(*) FILTER (WHERE mortgaged), count(*) FILTER (WHERE seized)"
            " FROM library.real_estate_registration_ownership",
        )

    def test_a_sale_touches_one_unit(
        self,
        departments: Settings,
        city: City,  # noqa: F811 - pytest hands fixtures in by name
        estate: Registry,  # noqa: F811 - pytest hands fixtures in by name
    ) -> None:
        """A sale entered at the registry reaches the thematic library; no other unit is rebuilt."""
        for source in ("units", "rights"):
            journey.collect(departments, source)
        thematic.build(departments, OWNERSHIP)
        cast = city.truth.cast
        sold = httpx.post(
            f"{estate.url}/clerk/v1/transfers",
            headers={"Authorization": f"Bearer {estate.access.clerk_token}"},
            json={
                "unit_no": cast.unit_no,
                "buyer_id": cast.buyer.resident_id,
                "buyer_name": cast.buyer.name,
                "at": "2026-11-22T08:00:00+08:00",
            },
        )
        assert 201 == sold.status_code, sold.text

        outcome = journey.collect(departments, "rights")
        built = thematic.build(departments, OWNERSHIP)

        assert outcome is not None
        assert outcome.counts["inserted"] >= 1
        assert thematic.build(departments, OWNERSHIP) is None
        owner = "SELECT holder_id = %s FROM library.real_estate_registration_ownership"
        with departments.database.connect(Role.INGEST) as conn:
            touched = conn.execute(
                "SELECT (counts->>'touched')::int FROM library.batch WHERE id = %s", (built,)
            ).fetchone()
            bought = conn.execute(
                f"{owner} WHERE unit_no = %s".encode(), (cast.buyer.resident_id, cast.unit_no)
            ).fetchall()
        assert (1,) == touched
        assert [(True,)] == bought
