"""References between datasets: what is not known is flagged, and cleared when it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier

from exchange.database import Role
from exchange.libraries import aliases, merge, references, staging, tables
from exchange.settings import Settings
from schemas.contract import Contract
from schemas.contract import load as contract_of
from tests.exchange.libraries.conftest import ADA, BEN, CAI

STAGE = Identifier("stage")
OLD = "110105491231002"
Rows = Sequence[Mapping[str, str]]


PEOPLE, RIGHTS = contract_of("population.resident"), contract_of("real_estate.right")


@pytest.fixture
def conn(settings: Settings) -> Iterator[psycopg.Connection]:
    """The loading run's connection."""
    with settings.database.connect(Role.INGEST) as connection:
        yield connection


def right(number: str, holder: str, kind: str = "111", fate: str = "H") -> Mapping[str, str]:
    return {"_fate": fate, "right_no": number, "holder_id": holder, "holder_id_type": kind}


def person(number: str, fate: str = "H") -> Mapping[str, str]:
    return {"_fate": fate, "resident_id": number}


def comes(conn: psycopg.Connection, contract: Contract, *rows: Mapping[str, str]) -> dict[str, int]:
    """Stage the rows, flag and merge them."""
    conn.execute("DROP TABLE IF EXISTS stage")
    staging.create(conn, contract, STAGE, "TEMPORARY")
    for row in rows:
        whole = {**dict.fromkeys(contract.key, "x"), **row}
        conn.execute(
            SQL("INSERT INTO stage ({}) VALUES ({})").format(
                tables.listed(whole), SQL(", ").join(map(SQL("{}").format, whole.values()))
            )
        )
    flagged = references.flag(conn, contract, STAGE)
    move = merge.Merge(contract, STAGE, 1, closing=False)
    at = merge.hold(conn, contract)
    merge.apply(conn, move, merge.difference(conn, move), at)
    conn.commit()
    return flagged


def broken(conn: psycopg.Connection) -> list[str]:
    rows = conn.execute("SELECT value FROM library.broken_reference ORDER BY value")
    return [value for (value,) in rows]


class TestFlag:
    def test_what_the_library_does_not_know(self, conn: psycopg.Connection) -> None:
        """The row is counted and remembered; another kind of number is asked elsewhere."""
        comes(conn, PEOPLE, person(ADA))

        flagged = comes(conn, RIGHTS, right("1", ADA), right("2", BEN), right("3", CAI, "001"))

        assert {"holder_id": 1} == flagged
        assert [BEN] == broken(conn)
        assert {"real_estate.right": {"holder_id": 1}} == references.broken(conn)

    def test_the_row_enters_all_the_same(self, conn: psycopg.Connection) -> None:
        """Flagged, never dropped."""
        comes(conn, PEOPLE, person(ADA))
        comes(conn, RIGHTS, right("1", BEN))

        assert 1 == conn.execute("SELECT FROM library.real_estate_right").rowcount

    def test_who_comes_later_clears_it(self, conn: psycopg.Connection) -> None:
        """A department was ahead of another, no more."""
        comes(conn, PEOPLE, person(ADA))
        comes(conn, RIGHTS, right("1", BEN), right("2", BEN))

        comes(conn, PEOPLE, person(BEN))

        assert [] == broken(conn)

    def test_a_corrected_row_is_judged_anew(self, conn: psycopg.Connection) -> None:
        """What was remembered of the row goes; removed, it misses nobody."""
        comes(conn, PEOPLE, person(ADA))
        comes(conn, RIGHTS, right("1", BEN), right("2", BEN), right("3", BEN))

        flagged = comes(conn, RIGHTS, right("1", ADA), right("2", CAI), right("3", BEN, fate="G"))

        assert {"holder_id": 1} == flagged
        assert [CAI] == broken(conn)

    def test_who_goes_away_breaks_what_referred_there(self, conn: psycopg.Connection) -> None:
        """A number that the population library took back is known no more."""
        comes(conn, PEOPLE, person(ADA), person(BEN))
        comes(conn, RIGHTS, right("1", ADA), right("2", BEN))

        comes(conn, PEOPLE, person(BEN, "G"))

        assert [BEN] == broken(conn)

    def test_a_library_that_is_empty_judges_nobody(self, conn: psycopg.Connection) -> None:
        """Its first batch judges everything at once."""
        assert {} == comes(conn, RIGHTS, right("1", ADA), right("2", BEN), right("3", CAI, "001"))

        comes(conn, PEOPLE, person(ADA))

        assert [BEN] == broken(conn)

    def test_a_row_that_is_kept_says_nothing(self, conn: psycopg.Connection) -> None:
        """What came of it is in quarantine; what was remembered of the held row stays true."""
        comes(conn, PEOPLE, person(ADA))
        comes(conn, RIGHTS, right("1", BEN))

        assert {} == comes(conn, RIGHTS, {**right("1", ADA), "_fate": "K"})
        assert [BEN] == broken(conn)

    def test_an_older_number_is_known(self, conn: psycopg.Connection) -> None:
        """Whether the alias was there before the row or came after it."""
        comes(conn, PEOPLE, person(ADA))
        comes(conn, RIGHTS, right("1", OLD))
        assert [OLD] == broken(conn)

        aliases.keep(conn, [("resident", OLD, ADA)], "residents")

        assert 1 == references.mend_by_aliases(conn, "residents")
        assert [] == broken(conn)
        assert {} == comes(conn, RIGHTS, right("2", OLD))

    def test_a_recount_finds_what_a_whole_snapshot_closed(self, conn: psycopg.Connection) -> None:
        """Rows that nobody named are counted at night."""
        comes(conn, PEOPLE, person(ADA), person(BEN))
        comes(conn, RIGHTS, right("1", ADA), right("2", BEN))
        conn.execute("DELETE FROM library.population_resident WHERE resident_id = %s", (BEN,))

        assert {"holder_id": 1} == references.recount(conn, RIGHTS)
        assert [BEN] == broken(conn)


KEYS = st.sampled_from(["1", "2", "3"])
NUMBERS = st.sampled_from([ADA, BEN, CAI])
STEPS = st.lists(
    st.one_of(
        st.builds(
            lambda k, n, f: (RIGHTS, right(k, n, fate=f)), KEYS, NUMBERS, st.sampled_from("HG")
        ),
        st.builds(lambda n, f: (PEOPLE, person(n, f)), NUMBERS, st.sampled_from("HG")),
    ),
    max_size=8,
)


class TestWhateverHappens:
    @how(
        max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(steps=STEPS)
    def test_what_is_remembered_is_what_a_recount_finds(
        self, conn: psycopg.Connection, steps: list[tuple[Contract, Mapping[str, str]]]
    ) -> None:
        """Following the change and counting everything come to the same."""
        for contract in (PEOPLE, RIGHTS):
            conn.execute(SQL("DELETE FROM {}").format(tables.named(contract.table)))
            conn.execute(SQL("DELETE FROM {}").format(tables.named(tables.history_table(contract))))
        conn.execute("DELETE FROM library.broken_reference")
        comes(conn, PEOPLE, person("nobody"))

        for contract, row in steps:
            comes(conn, contract, row)

        remembered = broken(conn)
        references.recount(conn, RIGHTS)
        assert broken(conn) == remembered
