"""What SQL over the libraries may use, who may write it, and two who decide at once."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import psycopg
import pytest

from exchange.database import Database, Role
from exchange.identity import decisions
from exchange.libraries import aliases
from tests.exchange.identity.conftest import number

ADA, BEN, CAI = (number(sequence) for sequence in (2, 4, 6))
OLD_ADA = "110105491231002"
WHY: Any = {"by": "李科长", "reason": "经核实为同一人"}

JOINED = """
SELECT held.number, coalesce(c.subject, held.number)
FROM unnest(%s::text[]) WITH ORDINALITY AS held (number, place)
LEFT JOIN library.canonical c ON c.kind = 'resident' AND c.number = held.number
ORDER BY place
"""


class TestJoins:
    def test_rows_under_several_numbers_meet(self, conn: psycopg.Connection) -> None:
        """By the join for many rows and by the function for one, the same."""
        aliases.keep(conn, [("resident", OLD_ADA, ADA)], "rights")
        decisions.merge(conn, "resident", ADA, BEN, **WHY)
        held = [OLD_ADA, ADA, BEN, CAI]

        joined = conn.execute(JOINED, (held,)).fetchall()

        assert [BEN, BEN, BEN, CAI] == [subject for _, subject in joined]
        single = conn.execute(
            "SELECT n, library.subject_of('resident', n) FROM unnest(%s::text[]) n", (held,)
        ).fetchall()
        assert joined == single
        same = conn.execute(
            "SELECT library.same_subject('resident', %s, %s),"
            " library.same_subject('resident', %s, %s)",
            (OLD_ADA, BEN, ADA, CAI),
        ).fetchone()
        assert (True, False) == same

    def test_a_number_of_two_stands_for_itself(self, conn: psycopg.Connection) -> None:
        """A join does not choose either: the row stays under the number that it has."""
        aliases.keep(conn, [("resident", OLD_ADA, ADA), ("resident", OLD_ADA, BEN)], "rights")

        assert [(OLD_ADA, OLD_ADA)] == conn.execute(JOINED, ([OLD_ADA],)).fetchall()

    def test_what_a_build_must_look_at_again(self, conn: psycopg.Connection) -> None:
        """Everything that now leads elsewhere than at that moment, chains included."""
        aliases.keep(conn, [("resident", OLD_ADA, ADA)], "rights")
        conn.commit()
        decisions.merge(conn, "resident", BEN, CAI, **WHY)
        before = _now(conn)
        decisions.merge(conn, "resident", ADA, CAI, **WHY)
        decisions.unmerge(conn, "resident", BEN, **WHY)

        assert {OLD_ADA, ADA, BEN} == _changed(conn, before)
        assert set() == _changed(conn, _now(conn))


def _now(conn: psycopg.Connection) -> datetime:
    ((now,),) = conn.execute("SELECT clock_timestamp()").fetchall()
    assert isinstance(now, datetime)
    return now


def _changed(conn: psycopg.Connection, after: datetime) -> set[str]:
    rows = conn.execute("SELECT number FROM library.identity_changed(%s)", (after,))
    return {str(number) for (number,) in rows}


class TestRights:
    @pytest.mark.parametrize(
        ("role", "statement"),
        [
            (Role.INGEST, "UPDATE library.alias SET subject = 'X'"),
            (Role.INGEST, "DELETE FROM library.alias"),
            (Role.INGEST, "UPDATE library.identity_decision SET reason = 'X'"),
            (Role.INGEST, "INSERT INTO library.canonical VALUES ('resident', 'A', 'B')"),
            (Role.INGEST, "SELECT library.settle('{resident}', '{A}')"),
            (
                Role.HUB,
                "INSERT INTO library.alias (kind, alias, subject, source) VALUES"
                " ('resident', 'A', 'B', 'hub')",
            ),
            (Role.HUB, "SELECT FROM library.link_candidate"),
            (Role.HUB, "SELECT FROM library.identity_decision"),
        ],
    )
    def test_nobody_rewrites_evidence(self, database: Database, role: Role, statement: str) -> None:
        """Aliases are added and ended; what follows from them is worked out, never written."""
        with (
            database.connect(role) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


class TestTwoAtOnce:
    def test_the_second_sees_what_the_first_decided(self, database: Database) -> None:
        """Halves of a chain decided at the same time make the whole chain."""
        with database.connect(Role.INGEST) as first, database.connect(Role.INGEST) as second:
            decisions.merge(first, "resident", ADA, BEN, **WHY)
            other = threading.Thread(
                target=aliases.keep, args=(second, [("resident", BEN, CAI)], "residents")
            )
            other.start()
            other.join(0.3)
            assert other.is_alive()  # it waits for the first to end
            first.commit()
            other.join(20)
            second.commit()

            assert [(ADA, CAI)] == first.execute(JOINED, ([ADA],)).fetchall()

    def test_a_long_load_keeps_nobody_waiting(self, database: Database) -> None:
        """What it hears on its way is kept at its end; until then others decide."""
        with database.connect(Role.INGEST) as load, database.connect(Role.INGEST) as person:
            aliases.hear(load, [("resident", OLD_ADA, ADA)])
            aliases.hear(load, [("resident", OLD_ADA, ADA), ("resident", CAI, CAI)])
            decisions.merge(person, "resident", ADA, BEN, **WHY)
            person.commit()

            assert 1 == aliases.keep_heard(load, "residents")
            assert 0 == aliases.keep_heard(load, "residents")
            assert [(OLD_ADA, BEN)] == load.execute(JOINED, ([OLD_ADA],)).fetchall()
