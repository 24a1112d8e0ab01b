"""The registers of people and bodies: repeatable, whole at any size, and true to their truth.

As for the rest of the city, the judge is the vocabulary (`schemas`), which the generator leaves
alone: contracts say which columns there must be, code lists what a code is, identifiers what fails.
"""

from __future__ import annotations

import time
from random import Random

import pytest

from connectors.testkit.city.bodies import bodies
from connectors.testkit.city.entities import register
from connectors.testkit.city.people import CANARY, Population, populate
from connectors.testkit.city.register import STRANGER
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import BROKEN_REFERENCE, CONFLICT, IDENTIFIER, UNKNOWN_CODE
from connectors.testkit.city.vital import vital
from connectors.testkit.city.welfare import welfare
from schemas.codes import code_list
from schemas.contract import load
from schemas.identifiers import KINDS, InvalidIdentifier

DATASETS = {
    "population.birth",
    "population.marriage",
    "population.death",
    "population.disability",
    "population.social_insurance",
    "population.low_income",
    "legal_entity.institution",
    "legal_entity.social_organization",
    "legal_entity.village_collective",
}


def dice(part: str) -> Random:
    return Random(f"7:{part}")


def registers(people: int) -> tuple[Population, dict[str, Table]]:
    population = populate(dice("people"), people)
    entities = register(dice("entities"), people // 10, population)
    tables = (
        *vital(dice("vital"), people, population),
        *welfare(dice("welfare"), people, population, entities),
        *bodies(dice("bodies"), people, population),
    )
    return population, {table.dataset: table for table in tables}


CITY = registers(2000)


@pytest.fixture
def population() -> Population:
    return CITY[0]


@pytest.fixture(params=sorted(DATASETS))
def table(request: pytest.FixtureRequest) -> Table:
    """Each table in turn."""
    return CITY[1][request.param]


class TestTables:
    def test_are_the_nine(self) -> None:
        assert set(CITY[1]) == DATASETS

    def test_the_same_seed_makes_the_same(self) -> None:
        assert registers(300)[1] == registers(300)[1]

    def test_feed_every_field_of_the_contract(self, table: Table) -> None:
        """No field is without a column, and no column is for nothing."""
        units = {unit["column"] for unit in table.units.values()}

        assert set(load(table.dataset).columns) == set(table.fields.values())
        assert set(table.columns) == set(table.fields) | units
        assert {len(table.columns)} == {len(row) for row in table.rows}

    def test_belong_to_the_one_source(self, table: Table) -> None:
        """The department that sends is the one that the contract names."""
        assert load(table.dataset).owner == table.owner

    def test_every_row_has_one_fate(self, table: Table) -> None:
        expected = table.expected

        assert len(table.rows) == expected.rows_sent
        lost = expected.duplicates + expected.quarantined.total()
        assert expected.rows_sent == expected.library_rows + lost

    @pytest.mark.parametrize("people", [100, 1000])
    def test_small_cities_hold_every_defect(self, people: int) -> None:
        for small in registers(people)[1].values():
            assert small.expected.duplicates, small.dataset
            for defect in (CONFLICT, IDENTIFIER, UNKNOWN_CODE):
                assert small.expected.quarantined[defect], small.dataset
            assert any(name.startswith("rule:") for name in small.expected.planted)

    def test_are_quickly_made(self) -> None:
        """Processor time, so that a busy machine does not decide."""
        population = populate(dice("people"), 20_000)
        entities = register(dice("entities"), 2000, population)
        began = time.process_time()

        vital(dice("vital"), 20_000, population)
        welfare(dice("welfare"), 20_000, population, entities)
        bodies(dice("bodies"), 20_000, population)

        assert 2 > time.process_time() - began


class TestTruth:
    def test_the_vocabulary_finds_the_spoiled_numbers(self, table: Table) -> None:
        """As many rows have a number that fails as were spoiled, and none else."""
        kinds = {each.name: each.identifier for each in load(table.dataset).fields}
        by_kind = {
            each.name: each.identifier_by
            for each in load(table.dataset).fields
            if each.identifier_by
        }
        failed = 0
        for row in table.as_rows():
            said = {field: row[column] for column, field in table.fields.items()}
            for name, by in by_kind.items():
                kind = table.crosswalk[by.column].get(str(said[by.column]), "")
                kinds[name] = by.kinds.get(kind)
            failed += any(_fails(kind, said[name]) for name, kind in kinds.items())

        assert table.expected.quarantined[IDENTIFIER] == failed

    def test_the_code_lists_find_the_unknown_codes(self, table: Table) -> None:
        """Through the department's own crosswalk, into our codes."""
        unknown = 0
        for row in table.as_rows():
            unknown += any(
                row[column] is not None and not _known(table, field, str(row[column]))
                for column, field in table.fields.items()
                if load(table.dataset).field(field).code_list
            )

        assert table.expected.quarantined[UNKNOWN_CODE] == unknown

    def test_strangers_are_counted(self, table: Table, population: Population) -> None:
        """Numbers that no resident has, each in a row that is loaded all the same."""
        if table.dataset == "population.death":
            known = {person.resident_id for person in population.dead}
            strange = {row["GMSFHM"] for row in table.as_rows()} - known
            assert 0 < table.expected.planted[BROKEN_REFERENCE] <= len(strange)
        else:
            assert table.expected.planted[BROKEN_REFERENCE] == sum(
                STRANGER in row for row in table.rows
            )

    def test_the_canary_is_in_every_table_of_the_living(
        self, table: Table, population: Population
    ) -> None:
        """So that a leak from any of them can be seen."""
        canary = population.cast[CANARY].resident_id

        found = any(canary in row for row in table.rows)
        assert found == (table.dataset != "population.death")


def _fails(kind: str | None, number: str | None) -> bool:
    if kind is None or number is None:
        return False
    try:
        KINDS[kind](number)
    except InvalidIdentifier:
        return True
    return False


def _known(table: Table, field: str, code: str) -> bool:
    ours = table.crosswalk[field].get(code) if field in table.crosswalk else code
    return ours in code_list(str(load(table.dataset).field(field).code_list))
