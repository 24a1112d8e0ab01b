"""Thematic libraries: rebuilt where a parent changed, once for every batch."""

from __future__ import annotations

import pytest

from exchange.database import Role
from exchange.libraries import batches, journey, thematic
from schemas.contract import load
from schemas.errors import Invalid
from tests.exchange.libraries.conftest import ADA, BEN, City, Loosen, Row

OWNERSHIP = "real_estate_registration.ownership"
FIRST, SECOND = "330784001001GB00001F00010001", "330784001001GB00001F00010002"
OWNERS = (
    "SELECT unit_no, holder_id, mortgaged FROM library.real_estate_registration_ownership"
    " ORDER BY 1, 2"
)


def unit(number: str, place: str = "永康市解放街1号") -> Row:
    return {
        "BDCDYH": number,
        "ZL": place,
        "MJ": "89.50",
        "MJDW": "平方米",
        "XZQH": "330784",
        "GXSJ": "2026-11-20T08:00:00+08:00",
    }


def right(number: str, of: str, holder: str, kind: str = "4", status: str = "1") -> Row:
    return {
        "YWH": number,
        "BDCDYH": of,
        "QLLX": kind,
        "QSZT": status,
        "QLRMC": "某人",
        "ZJZL": "1",
        "ZJH": holder,
        "GXSJ": "2026-11-20T08:00:00+08:00",
    }


@pytest.fixture
def registry(city_of: City, loosened: Loosen) -> City:
    """Two units, each with an owner, collected and not yet built."""
    for source in ("units", "rights"):
        loosened(source)
    city_of["units"].sends("1", [unit(FIRST), unit(SECOND)])
    city_of["rights"].sends("1", [right("a", FIRST, ADA), right("b", SECOND, BEN)])
    for source in ("units", "rights"):
        journey.collect(city_of.settings, source)
    return city_of


def counts(city_of: City, batch: int | None) -> dict[str, int]:
    assert batch is not None
    with city_of.settings.database.connect(Role.INGEST) as conn:
        return dict(batches.get(conn, batch).counts)


class TestBuild:
    def test_who_owns_what_now(self, registry: City) -> None:
        """Every unit has its owner, and building again finds nothing to do."""
        thematic.build(registry.settings, OWNERSHIP)

        assert [(FIRST, ADA, False), (SECOND, BEN, False)] == registry.rows(OWNERS)
        assert thematic.build(registry.settings, OWNERSHIP) is None

    def test_only_what_a_parent_touched_is_built_again(self, registry: City) -> None:
        """A mortgage on one unit leaves the other alone, and the past is kept."""
        thematic.build(registry.settings, OWNERSHIP)
        registry["rights"].sends("2", [right("m", FIRST, BEN, "DYAQ")], "changes")
        journey.collect(registry.settings, "rights")

        built = counts(registry, thematic.build(registry.settings, OWNERSHIP))

        assert (1, 1, 1) == (built["touched"], built["landed"], built["updated"])
        assert [(FIRST, ADA, True), (SECOND, BEN, False)] == registry.rows(OWNERS)
        assert [(FIRST, False)] == registry.rows(
            "SELECT unit_no, mortgaged FROM library.real_estate_registration_ownership_history"
        )

    def test_a_right_that_is_gone_takes_the_ownership_with_it(self, registry: City) -> None:
        """Deletions at a parent are changes too."""
        thematic.build(registry.settings, OWNERSHIP)
        registry["rights"].sends("2", [{"YWH": "a", "_op": "D"}], "changes")
        journey.collect(registry.settings, "rights")

        built = counts(registry, thematic.build(registry.settings, OWNERSHIP))

        assert 1 == built["deleted"]
        assert [(SECOND, BEN, False)] == registry.rows(OWNERS)

    def test_batches_are_taken_in_whatever_order_they_come(self, registry: City) -> None:
        """A batch that is published late is not lost behind one with a higher number."""
        with registry.settings.database.connect(Role.INGEST) as conn:
            contract = load(OWNERSHIP)
            conn.execute("UPDATE library.batch SET state = 'landed' WHERE id = 1")
            conn.commit()
            assert [2] == thematic.unconsumed(conn, contract)
            conn.commit()
            thematic.build(registry.settings, OWNERSHIP)
            conn.execute("UPDATE library.batch SET state = 'published' WHERE id = 1")

            assert [1] == thematic.unconsumed(conn, contract)

    def test_a_base_dataset_is_not_built(self, registry: City) -> None:
        """It is collected."""
        with pytest.raises(Invalid, match="not a thematic dataset"):
            thematic.build(registry.settings, "real_estate.unit")

    def test_the_scope_is_what_key_and_parents_share(self) -> None:
        """Rows of one unit belong together."""
        assert ("unit_no",) == thematic.scope_of(load(OWNERSHIP))
