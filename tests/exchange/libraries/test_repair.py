"""Quarantined rows that come back mended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from exchange.database import Role
from exchange.libraries import batches, journey, leftovers, quarantine, repair
from exchange.libraries.batches import Held
from exchange.libraries.batches import State as BatchState
from exchange.libraries.quarantine import State
from exchange.libraries.repair import Repaired
from schemas.errors import Invalid, NotFound, WrongState, YizhanError
from tests.exchange.libraries.conftest import ADA, BEN, CAI, City, Loosen, Row, resident

WRONG = "110105199001011233"
NAMES = "SELECT resident_id, name FROM library.population_resident ORDER BY 1"


@pytest.fixture
def refused(city_of: City, loosened: Loosen) -> City:
    """A batch of three residents, two of whom may not enter: rows 2 and 3."""
    loosened("residents")
    city_of["residents"].sends(
        "1", [resident(ADA), resident(BEN, "秘密", XBDM="?"), resident(WRONG, "无名")]
    )
    journey.collect(city_of.settings, "residents")
    return city_of


def mends(city: City, *rows: tuple[int, Row], batch: int = 1) -> journey.Outcome:
    """Hand rows in, by row number."""
    given = [Repaired(batch, number, _text(row)) for number, row in rows]
    return repair.repair(city.settings, "residents", given, by="李", reason="核实")


def _text(row: Row) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in row.items()}


def states(city: City) -> list[tuple[int, str]]:
    return city.rows("SELECT row_number, state FROM library.quarantine ORDER BY batch, row_number")


class TestRepair:
    def test_a_repaired_row_enters_as_a_batch_of_its_own(self, refused: City) -> None:
        """Checked and merged as any other, and its item says who repaired it and why."""
        outcome = mends(refused, (2, resident(BEN, "某人")))

        assert (BatchState.PUBLISHED, 1) == (outcome.state, outcome.counts["inserted"])
        assert [(ADA, "王小明"), (BEN, "某人")] == sorted(refused.rows(NAMES))
        assert [(2, "repaired"), (3, "open")] == states(refused)
        assert [("李", "核实", outcome.batch)] == refused.rows(
            "SELECT settled_by, settled_reason, settled_batch FROM library.quarantine"
            " WHERE state = 'repaired'"
        )

    def test_the_source_goes_on_where_it_was(self, refused: City) -> None:
        """A repair is no window of the source: the cursor stays."""
        mends(refused, (2, resident(BEN)))
        refused["residents"].sends("2", [resident(CAI)], "changes")

        outcome = journey.collect(refused.settings, "residents")

        assert outcome is not None
        assert 1 == outcome.counts["inserted"]
        assert journey.collect(refused.settings, "residents") is None

    def test_the_same_rows_again_do_nothing(self, refused: City) -> None:
        """Whoever hands in twice learns what became of the first."""
        first = mends(refused, (2, resident(BEN)))
        before = refused.content("population_resident")

        assert first == mends(refused, (2, resident(BEN)))
        assert before == refused.content("population_resident")

    def test_a_row_that_is_still_wrong_stops_all(self, refused: City) -> None:
        """Every reason is named by place, nothing of the row is repeated, nothing was taken."""
        with pytest.raises(Invalid, match="row 3 of batch 1 ethnicity:unknown-code") as stop:
            mends(refused, (2, resident(BEN)), (3, resident(CAI, "秘密", MZDM="??")))

        assert not {CAI, "秘密", "??"} & set(str(stop.value).split())
        assert [(2, "open"), (3, "open")] == states(refused)
        assert 1 == len(refused.rows("SELECT FROM library.batch"))

    def test_two_rows_of_one_key_that_differ_are_refused(self, refused: City) -> None:
        """Nobody here chooses which of them is true."""
        with pytest.raises(Invalid, match="key:conflict"):
            mends(refused, (2, resident(BEN, "一")), (3, resident(BEN, "二")))

    def test_an_item_that_is_settled_is_not_repaired_otherwise(self, refused: City) -> None:
        """The item is no longer open, and it is said by its place."""
        mends(refused, (2, resident(BEN)))

        with pytest.raises(WrongState, match="row 2 of batch 1 cannot be repaired: repaired"):
            mends(refused, (2, resident(BEN, "别名")))

    def test_what_came_later_is_not_overwritten(self, refused: City) -> None:
        """The source has spoken of that person since; the repair is too late."""
        refused["residents"].sends("2", [resident(CAI, "新名")], "changes")
        journey.collect(refused.settings, "residents")

        with pytest.raises(WrongState, match="later row of that key"):
            mends(refused, (3, resident(CAI, "旧名")))

        assert (CAI, "新名") in refused.rows(NAMES)

    @pytest.mark.parametrize(
        ("batch", "number"), [(1, 1), (1, 99), (7, 2)], ids=["entered", "no row", "no batch"]
    )
    def test_what_is_not_in_quarantine_cannot_be_repaired(
        self, refused: City, batch: int, number: int
    ) -> None:
        """A row that entered, a row that nobody sent, a batch that never was."""
        with pytest.raises(NotFound, match=f"row {number} of batch {batch}"):
            mends(refused, (number, resident(BEN)), batch=batch)

    def test_a_row_without_a_column_is_not_guessed(self, refused: City) -> None:
        """A repaired row is whole."""
        row = dict(resident(BEN))
        del row["LXDH"]

        with pytest.raises(Invalid, match="row 2 of batch 1 lacks LXDH"):
            mends(refused, (2, row))

    def test_nobody_repairs_without_a_reason(self, refused: City) -> None:
        """Who and why are kept with each item."""
        with pytest.raises(Invalid, match="who repaired"):
            repair.repair(refused.settings, "residents", [Repaired(1, 2, {})], by="李", reason=" ")

    def test_a_held_batch_goes_first(self, refused: City) -> None:
        """What a person must decide may change what the repair stands on."""
        refused["residents"].lies = True
        refused["residents"].sends("2", [resident(CAI)], "changes")
        assert journey.land(refused.settings, "residents")

        with pytest.raises(Held, match="batch 2 of residents is held"):
            mends(refused, (2, resident(BEN)))

    def test_a_landed_batch_is_loaded_first(self, refused: City) -> None:
        """What is under way is not overtaken by a repair."""
        refused["residents"].sends("2", [resident(CAI)], "changes")
        journey.land(refused.settings, "residents")

        mends(refused, (2, resident(BEN)))

        assert {ADA, BEN, CAI} == {number for number, _ in refused.rows(NAMES)}

    def test_a_rejected_repair_opens_its_items_again(
        self, refused: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rows are still wrong, and may be repaired in another way."""
        monkeypatch.setattr(journey, "load", _held)
        with pytest.raises(Held):
            mends(refused, (2, resident(BEN, "误")))
        monkeypatch.undo()
        with refused.settings.database.connect(Role.INGEST) as conn:
            conn.execute("UPDATE library.batch SET state = 'held' WHERE id = 2")
        journey.reject(refused.settings, 2, reason="误", by="李")

        mends(refused, (2, resident(BEN, "某人")))

        assert (BEN, "某人") in refused.rows(NAMES)

    def test_a_snapshot_that_still_sends_the_wrong_row_keeps_the_right_one(
        self, refused: City
    ) -> None:
        """The wrong key is known as repaired; the right one, which nobody sent, is not deleted."""
        mends(refused, (3, resident(CAI, "某人")))
        again = [resident(ADA), resident(BEN, "秘密", XBDM="?"), resident(WRONG, "无名")]
        refused["residents"].sends("2", again)
        refused["residents"].sends("3", again)

        outcomes = [journey.collect(refused.settings, "residents") for _ in range(2)]

        assert [0, 0] == [outcome.counts["deleted"] for outcome in outcomes if outcome]
        assert {ADA, CAI} == {number for number, _ in refused.rows(NAMES)}
        assert [(2, "open"), (3, "repaired")] == states(refused)

    def test_a_snapshot_without_the_wrong_row_lets_it_go(self, refused: City) -> None:
        """The source has removed what it sent wrongly, and with it what was made of it."""
        mends(refused, (3, resident(CAI, "某人")))
        refused["residents"].sends("2", [resident(ADA)])

        journey.collect(refused.settings, "residents")

        assert {ADA} == {number for number, _ in refused.rows(NAMES)}
        assert [(2, "gone"), (3, "repaired")] == states(refused)

    def test_a_row_that_the_source_mends_itself_is_settled(self, refused: City) -> None:
        """Nobody has to repair what came right."""
        refused["residents"].sends("2", [resident(BEN, "某人")], "changes")

        journey.collect(refused.settings, "residents")

        assert [(2, "repaired"), (3, "open")] == states(refused)

    def test_replaying_the_batch_keeps_what_was_repaired(self, refused: City) -> None:
        """A replay judges the row again and finds it repaired."""
        mends(refused, (2, resident(BEN)))

        journey.replay(refused.settings, 1)

        assert [(2, "repaired"), (3, "open")] == states(refused)
        assert {ADA, BEN} == {number for number, _ in refused.rows(NAMES)}


def _held(_settings: object, _batch: int) -> journey.Outcome:
    raise Held("a guard")


ANSWERS = st.lists(
    st.tuples(st.sampled_from([2, 3]), st.sampled_from(["good", "other", "wrong"])), max_size=6
)
ROWS = {
    (2, "good"): resident(BEN, "好"),
    (2, "other"): resident(BEN, "另"),
    (2, "wrong"): resident(BEN, XBDM="?"),
    (3, "good"): resident(CAI, "好"),
    (3, "other"): resident(CAI, "另"),
    (3, "wrong"): resident(WRONG),
}


class TestAgainAndAgain:
    @how(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(answers=ANSWERS)
    def test_whatever_is_handed_in_each_row_is_repaired_once(
        self, refused: City, answers: Iterable[tuple[int, str]]
    ) -> None:
        """The first good answer of an item counts; again or otherwise, nothing else happens."""
        _back_to_the_first_batch(refused)
        expected: dict[int, str] = {}
        for number, answer in answers:
            taken = answer != "wrong" and expected.setdefault(number, answer) == answer
            try:
                mends(refused, (number, ROWS[number, answer]))
                assert taken
            except YizhanError:
                assert not taken

        people = {2: BEN, 3: CAI}
        names = {"good": "好", "other": "另"}
        said = sorted((people[number], names[answer]) for number, answer in expected.items())
        assert [(ADA, "王小明"), *said] == sorted(
            refused.rows(NAMES), key=lambda row: row[0] != ADA
        )
        assert len(expected) == len(refused.rows("SELECT FROM library.batch WHERE id > 1"))
        assert {2: State.OPEN, 3: State.OPEN} | dict.fromkeys(expected, State.REPAIRED) == dict(
            states(refused)
        )


def _back_to_the_first_batch(city: City) -> None:
    with city.settings.database.connect(Role.OWNER) as conn:
        conn.execute("DELETE FROM library.population_resident WHERE _batch > 1")
        conn.execute(
            "UPDATE library.quarantine SET state = 'open', repair = NULL, settled_at = NULL"
        )
        conn.execute("DELETE FROM library.batch WHERE id > 1")


VICTIM = """
import os, signal, sys
from importlib import import_module
from exchange.libraries import journey, repair
from exchange.settings import Settings

module, name, when = sys.argv[1:]
module = import_module(f"exchange.libraries.{module}")
deed = getattr(module, name)

def fatal(*given, **named):
    if when == "after":
        deed(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, fatal)
row = dict(pair.split("=") for pair in sys.stdin.read().splitlines())
row = {name: text or None for name, text in row.items()}
repair.repair(Settings.load(), "residents", [repair.Repaired(1, 2, row)], by="x", reason="x")
"""


class TestKilled:
    @pytest.mark.parametrize(
        ("module", "deed", "when", "then"),
        [
            ("landing", "_sync", "before", "again"),
            ("journey", "load", "before", "sweep"),
            ("merge", "apply", "after", "again"),
            ("journey", "load", "after", "again"),
        ],
        ids=["landing", "landed", "merging", "published"],
    )
    def test_anywhere_the_row_enters_once(
        self,
        refused: City,
        monkeypatch: pytest.MonkeyPatch,
        module: str,
        deed: str,
        when: str,
        then: str,
    ) -> None:
        """Between landing and loading or elsewhere: whoever comes next finishes it, once."""
        row = resident(BEN, "某人")
        _die(refused, monkeypatch, row, module, deed, when)

        if then == "sweep":
            leftovers.sweep(refused.settings)
        mends(refused, (2, row))

        assert [(ADA, "王小明"), (BEN, "某人")] == sorted(refused.rows(NAMES))
        assert [(2, "repaired"), (3, "open")] == states(refused)
        with refused.settings.database.connect(Role.INGEST) as conn:
            came = batches.listed(conn, dataset="population.resident")
            assert [BatchState.PUBLISHED] * 2 == [batch.state for batch in came]
            assert [] == list(quarantine.open_rows(conn, refused.settings, "residents", 2))


def _die(city: City, monkeypatch: pytest.MonkeyPatch, row: Row, *where_and_when: str) -> None:
    (city.settings.home / "secrets").mkdir(mode=0o700, exist_ok=True)
    where = city.settings.database
    for role, password in where.passwords.items():
        (city.settings.home / "secrets" / f"{role}.password").write_text(password)
    monkeypatch.setenv("YIZHAN_HOME", str(city.settings.home))
    monkeypatch.setenv(
        "YIZHAN_DATABASE_URL", f"postgresql://{where.host}:{where.port}/{where.name}"
    )
    died = subprocess.run(
        [sys.executable, "-c", VICTIM, *where_and_when],
        input="\n".join(f"{name}={text or ''}" for name, text in row.items()),
        text=True,
        env=os.environ,
        capture_output=True,
        check=False,
    )
    assert -signal.SIGKILL == died.returncode, died.stderr
