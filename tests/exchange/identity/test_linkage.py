"""Doubles that we planted are found and queued; persons who only look alike mostly are not."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from connectors.testkit.city import numbers
from exchange.database import Database, Role
from exchange.identity import decisions, linkage, review
from exchange.identity.model import RESIDENT_BLOCKS, Model, settings_of, sound
from exchange.identity.review import Pair
from schemas.errors import Invalid
from tests.exchange.identity.population import Person, Population, grown

PRECISION, RECALL = 0.95, 0.93  # found: 0.99 and 0.97


@dataclass(frozen=True)
class Study:
    """A population, the desk that it lies on, and what linking found."""

    made: Population
    desk: duckdb.DuckDBPyConnection
    pairs: list[Pair]
    learned: Model

    def right(self, pairs: list[Pair]) -> tuple[float, float]:
        """Precision and recall of `pairs`."""
        found = {frozenset({pair.number, pair.subject}) for pair in pairs}
        hits = len(found & self.made.doubles)
        return hits / max(len(found), 1), hits / len(self.made.doubles)


@pytest.fixture(scope="module")
def study() -> Iterator[Study]:
    """A town of more than two thousand in which ninety have a second number."""
    made = grown(seed=7, families=900, doubles=90)
    with duckdb.connect(":memory:") as desk:
        linkage.lay_out(desk, "residents", made.table)
        pairs, learned = linkage.residents_alike(desk, linkage.LIKELY)
        yield Study(made, desk, pairs, learned)


class TestResidents:
    def test_doubles_are_found(self, study: Study) -> None:
        """Nearly all of them, and hardly anybody else, twins and namesakes included."""
        precision, recall = study.right(study.pairs)

        assert precision >= PRECISION
        assert recall >= RECALL

    def test_a_model_that_has_it_backwards_would_not_pass(self, study: Study) -> None:
        """The margin above is worth something: a spoiled model falls below it."""
        spoiled = copy.deepcopy(dict(study.learned))
        for level in spoiled["comparisons"][0]["comparison_levels"][1:]:
            level["m_probability"], level["u_probability"] = (
                level["u_probability"],
                level["m_probability"],
            )
        described = settings_of("dedupe_only", RESIDENT_BLOCKS, 1e-6, spoiled)
        linker = linkage._linker(study.desk, ["residents"], described)

        pairs = linkage._pairs(study.desk, linker, "residents", "residents", linkage.LIKELY)

        precision, recall = study.right(pairs)
        assert precision < PRECISION or recall < RECALL

    def test_the_older_row_would_stand_for_the_newer(self, study: Study) -> None:
        """Each proposal says which number stays, unless the reviewer turns it round."""
        changed = {person.unique_id: person.changed_at for person in study.made.persons}
        planted = [p for p in study.pairs if {p.number, p.subject} in study.made.doubles]

        assert planted
        assert all(changed[each.number] < changed[each.subject] for each in planted)

    def test_an_explanation_names_levels_and_no_values(self, study: Study) -> None:
        """Whoever reads the queue reads no name, number, address or phone."""
        values = {value for person in study.made.persons for value in map(str, person.row.values())}
        for pair in study.pairs:
            assert {"name", "birth_date", "address", "phone", "number"} == pair.explanation.keys()
            assert not values & set(pair.explanation.values())

    def test_learning_is_reproducible(self, study: Study) -> None:
        """The same rows and the same seed give the same model."""
        described = settings_of(
            "dedupe_only", RESIDENT_BLOCKS, linkage.DOUBLES / len(study.made.persons)
        )
        linker = linkage._linker(study.desk, ["residents"], described)
        again = linkage._learned(study.desk, linker)

        assert pytest.approx(_probabilities(study.learned), rel=1e-9) == _probabilities(again)


def _probabilities(model: Model) -> list[float]:
    return [
        level[which]
        for comparison in model["comparisons"]
        for level in comparison["comparison_levels"][1:]
        for which in ("m_probability", "u_probability")
    ]


class TestSound:
    def test_what_was_learned_backwards_is_not_believed(self) -> None:
        """Where being alike speaks against a double, the assumption stays."""
        described: Any = settings_of("dedupe_only", RESIDENT_BLOCKS, 1e-5)
        for comparison in described["comparisons"]:
            for level in comparison["comparison_levels"][1:]:
                level["u_probability"] = 0.3
                level["m_probability"] = 0.1
        name, *_ = sound(described)["comparisons"]

        assert [0.93, 0.05, 0.02] == [
            level["m_probability"] for level in name["comparison_levels"][1:]
        ]


class TestHolders:
    def test_an_owner_under_a_wrong_number_is_found(self, study: Study) -> None:
        """Two swapped digits, or another sequence: the resident is proposed, and would stay."""
        twice = frozenset().union(*study.made.doubles)
        residents = [p for p in study.made.persons if p.unique_id not in twice][:20]
        holders = [_wrong(person) for person in residents]
        strangers = [
            Person(
                numbers.resident("340503", "19610203", 7 + index),
                f"陌{index}",
                "19610203",
                "",
                None,
            )
            for index in range(20)
        ]
        linkage.lay_out(
            study.desk,
            "holders",
            pa.Table.from_pylist([{**each.row, "phone": None} for each in holders + strangers]),
        )

        pairs = linkage.holders_alike(study.desk, study.learned, linkage.LIKELY)

        truth = {(h.unique_id, r.unique_id) for h, r in zip(holders, residents, strict=False)}
        found = {(pair.number, pair.subject) for pair in pairs}
        assert len(found & truth) >= 18
        assert len(found - truth) <= 2


def _wrong(person: Person) -> Person:
    """The same person as a clerk at the land registry typed the number."""
    at = next(i for i in range(15, 5, -1) if person.unique_id[i] != person.unique_id[i + 1])
    was = person.unique_id
    body = was[:at] + was[at + 1] + was[at] + was[at + 2 : 17]
    number = body + numbers.resident_check(body[:17])
    return Person(number, person.name, number[6:14], person.address, None)


class TestLink:
    def test_from_the_library_to_the_queue_and_back(self, database: Database) -> None:
        """A double is proposed once; rejected, it stays away; confirmed, it is one person."""
        made = grown(seed=3, families=200, doubles=10, alike=0)
        with database.connect(Role.OWNER) as owner, owner.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO library.population_resident (resident_id, name, sex, birth_date,"
                " residence_address, phone, deceased, changed_at, _batch, _since)"
                " VALUES (%s, %s, '1', %s, %s, %s, false, %s, 1, now())",
                [
                    (p.unique_id, p.name, p.birth_date, p.address, p.phone, p.changed_at)
                    for p in made.persons
                ],
            )
            owner.commit()

        residents, holders = linkage.link(database)
        with database.connect(Role.INGEST) as conn:
            waiting = review.waiting(conn)
            assert residents.proposed == len(waiting) >= 2
            assert (len(made.persons), 0, 0) == (residents.persons, holders.persons, holders.likely)
            first, second, *_ = waiting
            decisions.confirm(conn, first.id, by="李", reason="同一人")
            decisions.reject(conn, second.id, by="李", reason="同名")
            conn.commit()
        again, _ = linkage.link(database)

        assert 0 == again.proposed
        assert again.persons == residents.persons - 1

    def test_without_splink(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installation without it is told what to install."""
        monkeypatch.setitem(sys.modules, "splink", None)

        with pytest.raises(Invalid, match=r"yizhan\[identity\]"):
            linkage.residents_alike(study.desk, linkage.LIKELY)
