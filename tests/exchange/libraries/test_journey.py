"""A batch's journey from a department into the library."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from errno import ENOSPC

import pytest

from connectors.feeds import PermanentFailure, TransientFailure
from exchange.database import Role
from exchange.libraries import aliases, batches, history, journey, landing, quarantine
from exchange.libraries.batches import Batch, Busy, Fenced, Held, State
from exchange.libraries.check import Drifted
from exchange.settings import Settings
from schemas.errors import Invalid, NotFound, Unavailable, WrongState
from tests.exchange.libraries.conftest import ADA, BEN, CAI, City, Loosen, Row, resident

TABLE = "population_resident"
NAMES = "SELECT resident_id, name FROM library.population_resident ORDER BY 1"


def collected(city_of: City, source: str = "residents") -> journey.Outcome:
    outcome = journey.collect(city_of.settings, source)
    assert outcome is not None
    return outcome


class TestCollect:
    def test_rows_come_in_once(self, city_of: City) -> None:
        """What the department sends is in the library, and asking again brings nothing."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN)])

        outcome = collected(city_of)

        assert State.PUBLISHED == outcome.state
        assert 2 == outcome.counts["inserted"]
        assert [ADA, BEN] == [number for number, _ in city_of.rows(NAMES)]
        assert journey.collect(city_of.settings, "residents") is None

    def test_an_empty_window_is_published_too(self, city_of: City) -> None:
        """A department that has nobody has nobody, and the cursor moves on."""
        city_of["residents"].sends("1", [])

        outcome = collected(city_of)

        assert 0 == outcome.counts["landed"]
        assert journey.collect(city_of.settings, "residents") is None

    def test_what_was_met_on_the_way_is_kept(self, city_of: City) -> None:
        """The batch says how often the source refused before it answered."""
        city_of["residents"].sends("1", [resident(ADA)])

        collected(city_of)

        assert [({"http_503": 1},)] == city_of.rows("SELECT notices FROM library.batch")

    def test_a_source_that_is_down_leaves_a_batch_to_take_over(self, city_of: City) -> None:
        """The window is read again by the next run, under a new lease; nothing is lost."""
        police = city_of["residents"]
        police.sends("1", [resident(ADA)])
        police.breaks = TransientFailure("down")
        with pytest.raises(TransientFailure):
            journey.collect(city_of.settings, "residents")
        police.breaks = None

        outcome = collected(city_of)

        assert 1 == outcome.counts["inserted"]
        assert [(1, "published")] == city_of.rows("SELECT count(*), max(state) FROM library.batch")

    def test_a_source_that_is_wrong_names_its_owner(self, city_of: City) -> None:
        """What is permanently wrong is no reason to try again, and nothing is landed."""
        city_of["residents"].sends("1", [resident(ADA)])
        city_of["residents"].breaks = PermanentFailure("residents: broken. 公安局 must repair it.")

        with pytest.raises(Invalid, match="公安局"):
            journey.collect(city_of.settings, "residents")

        assert [] == list((city_of.settings.landing / "residents").iterdir())

    def test_a_corrected_window_may_have_another_name(self, city_of: City) -> None:
        """A window that was never landed is planned anew by the run that takes the batch over."""
        police = city_of["residents"]
        police.sends("1", [resident(ADA)])
        police.breaks = TransientFailure("down")
        with pytest.raises(TransientFailure):
            journey.land(city_of.settings, "residents")
        police.windows, police.breaks = [], None
        police.sends("1-corrected", [resident(BEN)])

        collected(city_of)

        assert [(BEN,)] == city_of.rows("SELECT resident_id FROM library.population_resident")


class TestMerge:
    def test_a_snapshot_inserts_updates_and_closes(self, city_of: City, loosened: Loosen) -> None:
        """What changed has a past, what is gone is closed, what stayed is not touched."""
        loosened("residents")
        police = city_of["residents"]
        police.sends("1", [resident(ADA), resident(BEN, "原名"), resident(CAI)])
        first = collected(city_of)
        police.sends("2", [resident(ADA), resident(BEN, "新名")])

        second = collected(city_of)

        assert {"inserted": 0, "updated": 1, "unchanged": 1, "deleted": 1} == {
            place: second.counts[place] for place in ("inserted", "updated", "unchanged", "deleted")
        }
        assert [(ADA, first.batch), (BEN, second.batch)] == city_of.rows(
            f"SELECT resident_id, _batch FROM library.{TABLE} ORDER BY 1"
        )
        past = city_of.rows(
            f"SELECT name, _batch_from, _batch_to FROM library.{TABLE}_history ORDER BY resident_id"
        )
        assert [("王小明", first.batch, second.batch), ("原名", first.batch, second.batch)] == past

    def test_changes_touch_only_what_they_name(self, city_of: City) -> None:
        """A change log says what is no more; whoever it does not mention stays."""
        police = city_of["residents"]
        everybody = [resident(ADA), resident(BEN), resident(CAI)]
        police.sends("1", everybody)
        collected(city_of)
        gone: Row = {"GMSFHM": CAI, "_op": "D"}
        police.sends("2", [resident(BEN, "一"), resident(BEN, "二"), gone], "changes")

        with pytest.raises(Held):  # one of three is more than a twentieth
            journey.collect(city_of.settings, "residents")
        journey.release(city_of.settings, 2, reason="搬迁", by="李")
        outcome = journey.load(city_of.settings, 2)

        assert [(ADA, "王小明"), (BEN, "二")] == sorted(city_of.rows(NAMES))
        assert (1, 1, 1) == tuple(
            outcome.counts[place] for place in ("updated", "superseded", "deleted")
        )

    def test_a_row_in_quarantine_does_not_delete_what_is_held(
        self, city_of: City, loosened: Loosen
    ) -> None:
        """A snapshot that spoils a row has not said that the person is gone."""
        loosened("residents")
        police = city_of["residents"]
        police.sends("1", [resident(ADA), resident(BEN)])
        collected(city_of)
        police.sends("2", [resident(ADA), resident(BEN, XBDM="其他")])

        outcome = collected(city_of)

        assert (1, 0) == (outcome.counts["quarantined"], outcome.counts["deleted"])
        assert [ADA, BEN] == sorted(number for number, _ in city_of.rows(NAMES))


class TestAgain:
    """The same batch again, a replay and a new batch of the same rows change nothing."""

    @pytest.fixture
    def before(self, city_of: City, loosened: Loosen) -> object:
        """Two batches with an insert, an update, a deletion, a duplicate and a quarantined row."""
        loosened("residents")
        rows = [resident(ADA), resident(ADA), resident(BEN, "原名"), resident(CAI)]
        city_of["residents"].sends("1", [*rows, resident("110105199001011233")])
        collected(city_of)
        self.rows = [resident(ADA), resident(BEN, "新名"), resident("110105199001011233")]
        city_of["residents"].sends("2", self.rows)
        collected(city_of)
        return city_of.content(TABLE)

    def test_the_same_batch(self, city_of: City, before: object) -> None:
        """Loading a published batch shows what it did and does nothing."""
        outcome = journey.load(city_of.settings, 2)

        assert (State.PUBLISHED, 1) == (outcome.state, outcome.counts["updated"])
        assert before == city_of.content(TABLE)

    @pytest.mark.parametrize("batch", [1, 2])
    def test_a_replay(self, city_of: City, before: object, batch: int) -> None:
        """A batch replayed from its Parquet, overtaken or not, leaves content and history equal."""
        refused = city_of.rows("SELECT batch, row_number, reasons FROM library.quarantine")

        journey.replay(city_of.settings, batch)

        assert before == city_of.content(TABLE)
        again = city_of.rows("SELECT batch, row_number, reasons FROM library.quarantine")
        assert sorted(refused) == sorted(again)

    def test_a_new_batch_of_the_same_rows(self, city_of: City, before: object) -> None:
        """Only the ledger knows that they came again."""
        city_of["residents"].sends("3", self.rows)

        outcome = collected(city_of)

        assert 2 == outcome.counts["unchanged"]
        assert before == city_of.content(TABLE)

    def test_a_replay_of_changes_leaves_alone_what_came_later(self, city_of: City) -> None:
        """An old change does not come back over a newer one; a key that nobody touched does."""
        police = city_of["residents"]
        police.sends("1", [resident(ADA, "一")])
        collected(city_of)
        police.sends("2", [resident(ADA, "二"), resident(BEN, "二")], "changes")
        collected(city_of)
        police.sends("3", [resident(ADA, "三")], "changes")
        collected(city_of)
        before = city_of.content(TABLE)

        journey.replay(city_of.settings, 2)

        assert before == city_of.content(TABLE)


class TestHold:
    def test_another_column_stops_the_batch_with_a_diff(self, city_of: City) -> None:
        """A new and a missing column are named, the batch is held and the source waits."""
        police = city_of["residents"]
        police.sends("1", [resident(ADA)])
        manifest = journey.manifest_of(city_of.settings, "residents")
        police.columns = (*(c for c in manifest.source_columns if c != "LXDH"), "WECHAT")

        with pytest.raises(Drifted, match="missing LXDH; new WECHAT"):
            journey.collect(city_of.settings, "residents")

        assert [("held",)] == city_of.rows("SELECT state FROM library.batch")
        assert journey.collect(city_of.settings, "residents") is None
        assert [] == city_of.rows(NAMES)

    def test_what_the_source_counts_otherwise_is_not_published(self, city_of: City) -> None:
        """The first leg of reconciliation holds the batch before anything is loaded."""
        city_of["residents"].sends("1", [resident(ADA)])
        city_of["residents"].lies = True

        with pytest.raises(Held, match="source counts 2 rows and 1 were landed"):
            journey.load(city_of.settings, journey.land(city_of.settings, "residents") or 1)

    def test_too_many_bad_rows(self, city_of: City) -> None:
        """The batch is held with its reasons at hand; nothing of it is in the library."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN, MZDM="99")])

        with pytest.raises(Held, match="1 of 2 rows are in quarantine"):
            journey.collect(city_of.settings, "residents")

        assert [] == city_of.rows(NAMES)
        with city_of.settings.database.connect(Role.INGEST) as conn:
            assert {"ethnicity:unknown-code": 1} == quarantine.reasons(conn, 1)

    def test_too_many_deletions(self, city_of: City) -> None:
        """A snapshot that forgot half of the city does not empty the library."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN)])
        collected(city_of)
        city_of["residents"].sends("2", [resident(ADA)])

        with pytest.raises(Held, match="1 of 2 rows would be deleted"):
            journey.collect(city_of.settings, "residents")

        assert 2 == len(city_of.rows(NAMES))

    def test_released_with_a_reason_it_passes(self, city_of: City) -> None:
        """The guard is skipped for this batch alone, and who let it pass is kept."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN, MZDM="99")])
        with pytest.raises(Held):
            journey.collect(city_of.settings, "residents")

        journey.release(city_of.settings, 1, reason="样本", by="李")
        outcome = journey.load(city_of.settings, 1)

        assert State.PUBLISHED == outcome.state
        assert [("李", "样本")] == city_of.rows(
            "SELECT released_by, released_reason FROM library.batch"
        )

    def test_rejected_its_window_is_read_again(self, city_of: City) -> None:
        """The department repairs its rows and sends the same window."""
        police = city_of["residents"]
        police.sends("1", [resident(ADA), resident(BEN, MZDM="99")])
        with pytest.raises(Held):
            journey.collect(city_of.settings, "residents")

        journey.reject(city_of.settings, 1, reason="已退回", by="李")
        police.windows = []
        police.sends("1", [resident(ADA), resident(BEN)])

        assert 2 == collected(city_of).counts["inserted"]

    def test_nobody_releases_without_a_reason(self, city_of: City) -> None:
        """An empty reason is none."""
        with pytest.raises(Invalid, match="say who decides and why"):
            journey.release(city_of.settings, 1, reason=" ", by="李")

    def test_a_published_batch_cannot_be_released(self, city_of: City) -> None:
        """There is no way back from published."""
        city_of["residents"].sends("1", [resident(ADA)])
        collected(city_of)

        with pytest.raises(WrongState, match="cannot become"):
            journey.release(city_of.settings, 1, reason="x", by="李")


class TestTwoRuns:
    def test_at_once_are_harmless(self, city_of: City) -> None:
        """Of many runs of one batch one loads it; the others are told to come back."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN)])
        said: list[object] = []

        def run() -> None:
            try:
                said.append(journey.collect(city_of.settings, "residents"))
            except Busy as busy:
                said.append(busy)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        published = [one for one in said if isinstance(one, journey.Outcome)]
        assert 1 == len(published)
        assert [(2, 1)] == city_of.rows(
            f"SELECT count(*), (SELECT count(*) FROM library.batch) FROM library.{TABLE}"
        )

    def test_a_run_that_lost_its_batch_writes_nothing(
        self, city_of: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run that was taken for dead and lives on is fenced at its first write."""
        city_of["residents"].sends("1", [resident(ADA)])
        journey.land(city_of.settings, "residents")
        monkeypatch.setattr(batches, "_locked", lambda _conn, _source: True)
        opened = landing.opened

        def opened_while_another_takes_over(settings: Settings, batch: Batch) -> landing.Kept:
            take_over(city_of)
            return opened(settings, batch)

        monkeypatch.setattr(landing, "opened", opened_while_another_takes_over)

        with pytest.raises(Fenced):
            journey.load(city_of.settings, 1)

        assert [] == city_of.rows(NAMES)
        assert [("landed",)] == city_of.rows("SELECT state FROM library.batch")


def take_over(city_of: City) -> None:
    """What another run does that believes batch 1 to be orphaned."""
    with city_of.settings.database.connect(Role.INGEST) as conn:
        batches.take(conn, batches.get(conn, 1))


class TestLanding:
    def test_the_file_says_nothing_without_its_key(self, city_of: City) -> None:
        """Names and numbers are nowhere in the bytes, nor are the columns' names."""
        city_of["residents"].sends("1", [resident(ADA, "欧阳娜娜")])
        journey.land(city_of.settings, "residents")

        (path,) = (city_of.settings.landing / "residents").iterdir()

        held = path.read_bytes()
        for secret in (ADA, "欧阳娜娜", "GMSFHM"):
            assert secret.encode() not in held

    def test_an_altered_file_is_not_loaded(self, city_of: City) -> None:
        """The digest in the ledger tells."""
        city_of["residents"].sends("1", [resident(ADA)])
        batch = journey.land(city_of.settings, "residents")
        (path,) = (city_of.settings.landing / "residents").iterdir()
        path.write_bytes(path.read_bytes()[:-1] + b"\0")

        with pytest.raises(Invalid, match="not the one that was landed"):
            journey.load(city_of.settings, batch or 0)

    def test_an_expired_file_is_missed_by_name(self, city_of: City) -> None:
        """A batch whose file is gone cannot be replayed, and says so."""
        city_of["residents"].sends("1", [resident(ADA)])
        collected(city_of)
        for path in (city_of.settings.landing / "residents").iterdir():
            path.unlink()

        with pytest.raises(NotFound, match="only its digest was kept"):
            journey.replay(city_of.settings, 1)

    def test_a_full_disk_is_said_and_leaves_nothing(
        self, city_of: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The window is read again when there is room."""
        city_of["residents"].sends("1", [resident(ADA)])

        def full(_file: int) -> None:
            raise OSError(ENOSPC, "No space left on device")

        with monkeypatch.context() as disk:
            disk.setattr("exchange.libraries.landing.os.fsync", full)
            with pytest.raises(Unavailable, match="landing folder is full"):
                journey.collect(city_of.settings, "residents")

        assert [] == list((city_of.settings.landing / "residents").iterdir())
        assert 1 == collected(city_of).counts["inserted"]

    def test_read_back_unchanged(self, city_of: City) -> None:
        """What was landed is what was sent, blanks and all."""
        city_of["residents"].sends("1", [resident(ADA, " 王 ")])
        journey.land(city_of.settings, "residents")

        with city_of.settings.database.connect(Role.INGEST) as conn:
            (rows,) = landing.opened(city_of.settings, batches.get(conn, 1)).chunks()

        assert [" 王 "] == rows["XM"].to_list()


class TestReconcile:
    def test_a_batch_that_adds_up(self, city_of: City) -> None:
        """Counted again from its file and its ledger row, nothing is missing."""
        city_of["residents"].sends("1", [resident(ADA), resident(ADA)])
        collected(city_of)

        assert [] == journey.audit(city_of.settings, 1)

    def test_a_gap_is_named(self, city_of: City) -> None:
        """A ledger row that was tampered with does not add up."""
        city_of["residents"].sends("1", [resident(ADA)])
        collected(city_of)
        with city_of.settings.database.connect(Role.INGEST) as conn:
            conn.execute(
                "UPDATE library.batch SET counts = counts || '{\"inserted\": 5}',"
                " source_totals = source_totals || '{\"rows\": 3}'"
            )

        assert [
            "the source counts 3 rows and 1 were landed",
            "1 rows were landed and 5 have a place",
        ] == journey.audit(city_of.settings, 1)


class TestAsOf:
    def test_every_moment_has_its_row(self, city_of: City) -> None:
        """Before, between and after; and nothing for a person who was never there."""
        police = city_of["residents"]
        police.sends("1", [resident(ADA, "原名")])
        collected(city_of)
        between = datetime.now(UTC)
        police.sends("2", [resident(ADA, "新名")])
        collected(city_of)

        with city_of.settings.database.connect(Role.INGEST) as conn:

            def name(at: datetime) -> object:
                row = history.as_of(conn, "population.resident", [ADA], at)
                return row and row["name"]

            assert name(datetime(2020, 1, 1, tzinfo=UTC)) is None
            assert "原名" == name(between)
            assert "新名" == name(datetime.now(UTC))
            with pytest.raises(Invalid, match="offset"):
                name(datetime(2026, 1, 1))


class TestAliases:
    def test_an_old_number_finds_its_person(self, city_of: City) -> None:
        """Fifteen digits become eighteen, and the fifteen are remembered."""
        city_of["residents"].sends("1", [resident("110105491231002")])
        collected(city_of)

        with city_of.settings.database.connect(Role.INGEST) as conn:
            assert [ADA] == aliases.subjects(conn, "resident", "110105491231002")
        assert [ADA] == [number for number, _ in city_of.rows(NAMES)]


class TestQuarantine:
    def test_a_row_is_sealed_and_can_be_given_back(self, city_of: City, loosened: Loosen) -> None:
        """The department gets its row with every reason; the table alone says nothing."""
        loosened("residents")
        city_of["residents"].sends("1", [resident("110105199001011233", "秘密", MZDM="99")])
        collected(city_of)

        (sealed,) = city_of.rows("SELECT sealed_row FROM library.quarantine")[0]
        with city_of.settings.database.connect(Role.INGEST) as conn:
            (row,) = quarantine.rows(conn, city_of.settings, 1, 10)

        assert "秘密".encode() not in sealed
        assert "秘密" == row.row["XM"]
        assert ("resident_id:check-character", "ethnicity:unknown-code") == row.reasons

    def test_only_the_ingest_role_may_look(self, city_of: City) -> None:
        """Neither the hub nor the vault reads what may not enter."""
        for role in (Role.HUB, Role.VAULT):
            with (
                pytest.raises(Exception, match="permission denied"),
                city_of.settings.database.connect(role) as conn,
            ):
                conn.execute("SELECT FROM library.quarantine")


class TestMoves:
    def test_every_state_says_where_it_may_go(self) -> None:
        """No state was forgotten."""
        assert set(State) == batches.MOVES.keys()

    def test_a_settled_batch_moves_nowhere(self) -> None:
        """Published and rejected are final."""
        batch = batches.Batch(1, "s", "d", "snapshot", None, "1", State.PUBLISHED, 1)

        for state in State:
            with pytest.raises(WrongState):
                replace(batch, state=State.REJECTED).moved(state)
            with pytest.raises(WrongState):
                batch.moved(state)
