"""What one contract says of another: references, parents and their scopes, the order of all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.contract import RETENTION, Contract, Reference, all_contracts, load
from schemas.contract_checks import ordered
from schemas.contract_files import read_all
from schemas.errors import Invalid
from tests.schemas.cities import (
    Document,
    custom,
    document,
    field,
    key_only,
    promise,
    thematic,
    write,
    write_text,
)

RESIDENT = "population.resident"
MARRIAGE = "population.marriage"
FAMILY = "welfare.family"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Return a function that reads these contracts as one set."""

    def deed(*documents: Document) -> Mapping[str, Contract]:
        for said in documents:
            write(tmp_path, said, sql="SELECT 1" if "sql" in str(said) else None)
        return read_all(tmp_path)

    return deed


class TestReferences:
    def test_of_a_plain_number(self) -> None:
        """The dead are residents."""
        found = load("population.death").field("resident_id").references

        assert {None: Reference(RESIDENT, "resident_id")} == dict(found)

    def test_of_a_number_whose_kind_is_told(self) -> None:
        """A party with an identity card is a resident; one with a passport is not looked for."""
        found = load(MARRIAGE).field("party_id").references

        assert {"111": Reference(RESIDENT, "resident_id")} == dict(found)

    def test_every_number_of_a_person_says_where_the_person_is(self) -> None:
        """In the population library nobody is named whom nobody looks for."""
        for contract in all_contracts():
            if contract.library == "population" and contract.id != RESIDENT:
                numbers = [each for each in contract.fields if each.identifier == "resident"]
                assert all(each.references for each in numbers), contract.id

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ({"dataset": "population.ghosts", "column": "resident_id"}, "does not exist"),
            ({"dataset": RESIDENT, "column": "number"}, "does not exist"),
            ({"dataset": RESIDENT, "column": "birth_date"}, "another type"),
            ({"dataset": RESIDENT, "column": "phone"}, "neither the first key nor a subject"),
            ({"dataset": RESIDENT}, "column: Field required"),
            ({"111": {"dataset": RESIDENT, "column": "resident_id"}}, "kind that it does not have"),
        ],
    )
    def test_to_nowhere(self, read: Any, reference: Any, message: str) -> None:
        """A reference that nobody can follow is refused, with the file and the field."""
        death = document("population.death")
        custom(field(death, "resident_id"), "references", reference)

        with pytest.raises(Invalid, match=rf"death\.yaml: field resident_id: .*{message}"):
            read(document(RESIDENT), death)


class TestScopes:
    def test_of_plain_parents(self) -> None:
        """The keys that all parents have: the unit, for the real-estate library."""
        found = load("real_estate_registration.ownership")

        assert ("real_estate.unit", "real_estate.right") == found.parents
        same = {"unit_no": "unit_no"}
        assert [same, same] == [dict(found.scopes[parent]) for parent in found.parents]

    def test_where_names_differ(self, read: Any) -> None:
        """A parent says which of its columns is which of ours; a plain one has our names."""
        parents = [RESIDENT, {"dataset": MARRIAGE, "scope": {"resident_id": "party_id"}}]

        found = read(document(RESIDENT), document(MARRIAGE), thematic(FAMILY, RESIDENT, parents))

        assert (RESIDENT, MARRIAGE) == found[FAMILY].parents
        assert {"resident_id": "resident_id"} == dict(found[FAMILY].scopes[RESIDENT])
        assert {"resident_id": "party_id"} == dict(found[FAMILY].scopes[MARRIAGE])

    @pytest.mark.parametrize(
        ("parents", "message"),
        [
            (["population.ghosts"], "population.ghosts does not exist"),
            ([RESIDENT, MARRIAGE], "no column of our key"),
            ([RESIDENT, RESIDENT], "there twice"),
            ([{"dataset": MARRIAGE, "scope": {"number": "party_id"}}], "our scope column number"),
            ([{"dataset": MARRIAGE, "scope": {"resident_id": "person"}}], "no column person"),
            (
                [{"dataset": MARRIAGE, "scope": {"resident_id": "registered_on"}}],
                "different types",
            ),
            (
                [
                    {"dataset": MARRIAGE, "scope": {"resident_id": "party_id"}},
                    {"dataset": RESIDENT, "scope": {"name": "name"}},
                ],
                "not of the same columns",
            ),
            ([{"dataset": MARRIAGE, "scopes": {}}], "not well formed: parents.0.scopes"),
            ("population.resident", "not well formed: parents"),
        ],
    )
    def test_that_do_not_fit(self, read: Any, parents: Any, message: str) -> None:
        """A build whose parents cannot be put together does not load."""
        with pytest.raises(Invalid, match=rf"family\.yaml.*{message}"):
            read(document(RESIDENT), document(MARRIAGE), thematic(FAMILY, RESIDENT, parents))

    def test_of_a_view(self, read: Any) -> None:
        """A view has no batches that a build could follow."""
        holding = document("license.holding")
        built = thematic(FAMILY, RESIDENT, ["license.holding"])

        with pytest.raises(Invalid, match="which has no batches"):
            read(holding, built)

    def test_two_columns(self, read: Any) -> None:
        """A scope of several columns keeps the order of our fields."""
        built = thematic(FAMILY, MARRIAGE, [MARRIAGE])
        key_only(built, "party_id", "registration_no")

        found = read(document(RESIDENT), document(MARRIAGE), built)

        assert ["registration_no", "party_id"] == list(found[FAMILY].scopes[MARRIAGE])


class TestOrder:
    def test_a_build_of_a_build_comes_last(self, read: Any) -> None:
        """Whatever their names."""
        first = thematic("z.first", RESIDENT, [RESIDENT])
        second = thematic("a.second", RESIDENT, ["z.first"])

        found = read(document(RESIDENT), first, second)

        assert [RESIDENT, "z.first", "a.second"] == list(found)

    def test_going_round(self, read: Any) -> None:
        """Nothing is built from itself by a detour."""
        one = thematic("a.one", RESIDENT, ["a.two"])
        two = thematic("a.two", RESIDENT, ["a.one"])

        with pytest.raises(Invalid, match=r"a\.one is built from a\.two is built from a\.one"):
            read(document(RESIDENT), one, two)

    @settings(max_examples=20)
    @given(st.permutations(all_contracts()))
    def test_is_the_same_however_they_came(self, contracts: list[Contract]) -> None:
        """The order of files in a folder is nobody's business."""
        assert list(all_contracts()) == ordered(contracts)


class TestRetention:
    @pytest.mark.parametrize(
        ("value", "unit", "expected"),
        [(30, "d", timedelta(days=30)), (2, "years", timedelta(days=730)), (48, "h", timedelta(2))],
    )
    def test_as_said(self, read: Any, value: int, unit: str, expected: timedelta) -> None:
        """How long a landed batch is kept, in the standard's units."""
        said = document(RESIDENT)
        promise(said, "retention", value, unit)

        assert expected == read(said)[RESIDENT].retention

    def test_unsaid(self, read: Any) -> None:
        """Ninety days."""
        said = document(RESIDENT)
        said["slaProperties"] = said["slaProperties"][:1]

        assert RETENTION == read(said)[RESIDENT].retention

    def test_nothing_is_landed_of_what_is_built(self) -> None:
        """So there is nothing to keep."""
        for contract in all_contracts():
            assert (contract.retention is None) == (contract.kind != "base")

    @pytest.mark.parametrize(
        ("value", "unit", "message"),
        [(3, "fortnights", "unit"), ("soon", "d", "not a number"), (1, "h", "less than a day")],
    )
    def test_nonsense(self, read: Any, value: Any, unit: str, message: str) -> None:
        """A promise that nobody can keep is refused."""
        said = document(RESIDENT)
        promise(said, "retention", value, unit)

        with pytest.raises(Invalid, match=message):
            read(said)


class TestFormerNumbers:
    def test_of_entities(self) -> None:
        """Old numbers by which an entity is still asked for."""
        found = {
            (each.id, column.name)
            for each in all_contracts()
            for column in each.fields
            if column.former_number
        }

        assert {
            ("legal_entity.registration", "old_registration_no"),
            ("legal_entity.institution", "old_certificate_no"),
            ("legal_entity.social_organization", "old_registration_no"),
        } <= found

    def test_of_what_has_no_number(self, read: Any) -> None:
        """It replaces the key, so the key must be a number of some kind."""
        said = document(MARRIAGE)
        custom(field(said, "certificate_no"), "formerNumber", True)

        with pytest.raises(Invalid, match="certificate_no: a former number"):
            read(document(RESIDENT), said)


class TestAnyContract:
    """Whatever people write, the loader says what is wrong or loads it."""

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        data=st.data(),
        instead=st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.integers())
        ),
    )
    def test_a_value_replaced_by_anything(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, instead: Any
    ) -> None:
        """Only `Invalid` comes out; what loads can be used."""
        said = document(RESIDENT)
        holder, key = data.draw(st.sampled_from(_places(said)))
        holder[key] = instead
        folder = tmp_path_factory.mktemp("any")
        write_text(folder, said)

        with suppress(Invalid):
            found = read_all(folder)[RESIDENT]

            frame = pl.DataFrame(found.arrow_schema().empty_table())
            assert set(found.key) <= set(frame.columns)

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_a_value_taken_away(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """What is missing is said with the file that misses it."""
        said = document(RESIDENT)
        holder, key = data.draw(st.sampled_from(_places(said)))
        del holder[key]
        folder = tmp_path_factory.mktemp("any")
        file = write_text(folder, said)

        wrong = None
        try:
            read_all(folder)
        except Invalid as err:
            wrong = err.message

        assert wrong is None or str(file) in wrong


def _places(said: Any) -> list[tuple[Any, Any]]:
    """Every place of a document where something stands."""
    steps = list(said.items() if isinstance(said, dict) else enumerate(said))
    here = [(said, key) for key, _ in steps]
    below = [
        place for _, value in steps if isinstance(value, dict | list) for place in _places(value)
    ]
    return here + below
