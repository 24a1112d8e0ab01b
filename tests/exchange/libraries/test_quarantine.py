"""Rows in quarantine, from the first time they are seen until they are settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import md5

import polars as pl
import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.sql import Identifier

from exchange.database import Role
from exchange.libraries import ageing, batches, journey, mended, quarantine, staging
from exchange.libraries.batches import Batch
from exchange.libraries.quarantine import MOVES, State
from exchange.settings import Settings
from schemas.contract import load as contract_of
from schemas.errors import Invalid, WrongState
from tests.exchange.libraries.conftest import ADA, BEN, CAI, City, Row, resident

SOURCE, DATASET = "residents", "population.resident"
STAGE = Identifier("stage")


@pytest.fixture
def conn(city_of: City) -> Iterator[psycopg.Connection]:
    """The loading run's connection."""
    with city_of.settings.database.connect(Role.INGEST) as connection:
        yield connection


def batch(
    conn: psycopg.Connection, number: int, mode: str = "snapshot", state: str = "published"
) -> Batch:
    """A batch that landed so many days after the first of January."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    row = conn.execute(
        "INSERT INTO library.batch (source, dataset, mode, window_end, state, landed_at,"
        " published_at) VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (SOURCE, DATASET, mode, str(number), state, moment, moment),
    ).fetchone()
    assert row is not None
    return batches.get(conn, row[0])


def bad(*rows: Row, start: int = 1, why: str = "sex:unknown-code") -> pl.DataFrame:
    """Rows as `check` refuses them."""
    told = [{name: value and str(value) for name, value in row.items()} for row in rows]
    return pl.DataFrame(told).select(
        pl.int_range(start, start + len(told), dtype=pl.Int64).alias("row_number"),
        pl.lit([why]).alias("reasons"),
        pl.Series("_digest", [digest(row) for row in rows], pl.Binary),
        pl.all(),
    )


def digest(row: Row) -> bytes:
    """A digest as the landing computes it, more or less."""
    return md5(repr(sorted(row.items())).encode(), usedforsecurity=False).digest()


def items(conn: psycopg.Connection) -> list[tuple[int, int, str]]:
    return conn.execute(
        "SELECT batch, row_number, state FROM library.quarantine ORDER BY batch, row_number"
    ).fetchall()


def first_seen(conn: psycopg.Connection, state: str = "open") -> list[int]:
    """The days of January on which the items were first seen."""
    rows = conn.execute(
        "SELECT extract(day FROM first_seen)::int - 1 FROM library.quarantine WHERE state = %s"
        " ORDER BY batch, row_number",
        (state,),
    )
    return [day for (day,) in rows]


class TestAgain:
    def test_a_batch_loaded_again_leaves_the_same(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """Cleared and added, in whatever chunks, once or three times."""
        first = batch(conn, 1)
        refused = bad(resident(ADA), resident(BEN), resident(CAI))
        quarantine.add(conn, settings, first, refused)
        before = items(conn), first_seen(conn)

        for chunks in ([refused], [refused[:1], refused[1:]]):
            quarantine.clear(conn, first)
            for chunk in chunks:
                quarantine.add(conn, settings, first, chunk)

        assert before == (items(conn), first_seen(conn))

    def test_what_was_settled_stays_settled(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """A replay asks nobody twice."""
        first = batch(conn, 1)
        refused = bad(resident(ADA), resident(BEN))
        quarantine.add(conn, settings, first, refused)
        quarantine.waive(conn, first.id, [2], reason="重复", by="李")

        quarantine.clear(conn, first)
        quarantine.add(conn, settings, first, refused)

        assert [(first.id, 1, "open"), (first.id, 2, "waived")] == items(conn)

    def test_a_row_that_passes_now_is_forgotten(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """A crosswalk that was mended lets it in when the batch is replayed."""
        first = batch(conn, 1)
        quarantine.add(conn, settings, first, bad(resident(ADA), resident(BEN)))

        quarantine.clear(conn, first)
        quarantine.add(conn, settings, first, bad(resident(ADA)))

        assert [(first.id, 1, "open")] == items(conn)

    def test_the_same_row_in_a_later_window_is_the_same_item(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """A cursor that looks back reads it again; it stays as old as it is."""
        first, second = batch(conn, 1, "changes"), batch(conn, 2, "changes")
        quarantine.add(conn, settings, first, bad(resident(ADA)))

        quarantine.add(conn, settings, second, bad(resident(ADA), why="sex:required"))

        assert [(first.id, 1, "open")] == items(conn)
        assert [1] == first_seen(conn)
        assert {"sex:required": 1} == quarantine.reasons(conn, second.id)

    @pytest.mark.parametrize("state", ["repaired", "waived", "resubmitted"])
    def test_a_settled_row_that_comes_again_unchanged_is_no_news(
        self, conn: psycopg.Connection, settings: Settings, state: str
    ) -> None:
        """People decided on it; it is not theirs to decide again."""
        first, second = batch(conn, 1), batch(conn, 2)
        quarantine.add(conn, settings, first, bad(resident(ADA)))
        conn.execute("UPDATE library.quarantine SET state = %s", (state,))

        quarantine.add(conn, settings, second, bad(resident(ADA)))

        assert [(first.id, 1, state)] == items(conn)

    def test_a_rejected_batch_leaves_nothing_open(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """Its window is read again, and what is wrong then is new."""
        first, second = batch(conn, 1, state="rejected"), batch(conn, 2)
        quarantine.add(conn, settings, first, bad(resident(ADA)))

        quarantine.clear(conn, second)
        quarantine.add(conn, settings, second, bad(resident(ADA)))

        assert [(first.id, 1, "gone"), (second.id, 1, "open")] == items(conn)


class TestCarry:
    def test_what_a_snapshot_still_sends_keeps_its_age(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """What it does not send any more is gone, and the batch that says so is noted."""
        first, second = batch(conn, 1), batch(conn, 2)
        quarantine.add(conn, settings, first, bad(resident(ADA), resident(BEN)))

        gone = quarantine.carry(conn, first, second, [digest(resident(ADA))])

        assert 1 == gone
        assert [(first.id, 1, "open"), (first.id, 2, "gone")] == items(conn)
        assert [1] == first_seen(conn)
        assert {"sex:unknown-code": 1} == quarantine.reasons(conn, second.id)
        assert {"sex:unknown-code": 2} == quarantine.reasons(conn, first.id)

    def test_equal_rows_are_counted(self, conn: psycopg.Connection, settings: Settings) -> None:
        """Of three rows equal to the last letter two are sent still: one is gone."""
        first, second = batch(conn, 1), batch(conn, 2)
        quarantine.add(conn, settings, first, bad(*[resident(ADA)] * 3))

        assert 1 == quarantine.carry(conn, first.id, second.id, [digest(resident(ADA))] * 2)

    @pytest.mark.parametrize("carried_first", [True, False])
    def test_the_order_of_calls_does_not_matter(
        self, conn: psycopg.Connection, settings: Settings, carried_first: bool
    ) -> None:
        """A row that was checked again rather than carried is the same item."""
        first, second = batch(conn, 1), batch(conn, 2)
        quarantine.add(conn, settings, first, bad(resident(ADA), resident(BEN)))

        if carried_first:
            quarantine.carry(conn, first, second, [])
        quarantine.add(conn, settings, second, bad(resident(ADA)))
        quarantine.carry(conn, first, second, [])

        assert [(first.id, 1, "open"), (first.id, 2, "gone")] == items(conn)
        assert [1] == first_seen(conn)

    def test_other_sources_are_left_alone(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """Two sources may feed one dataset."""
        first, second = batch(conn, 1), batch(conn, 2)
        conn.execute("UPDATE library.batch SET source = 'others' WHERE id = %s", (second.id,))
        quarantine.add(conn, settings, first, bad(resident(ADA)))

        assert 0 == quarantine.carry(conn, second, second, [])

    def test_what_may_be_carried_can_be_asked_for(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """The digests of what is open."""
        quarantine.add(conn, settings, batch(conn, 1), bad(resident(ADA)))

        assert [digest(resident(ADA))] == quarantine.digests(conn, SOURCE)


class TestSuperseded:
    def stage(self, conn: psycopg.Connection, fates: Sequence[tuple[str, str]]) -> None:
        staging.create(conn, contract_of(DATASET), STAGE, "TEMPORARY")
        with conn.cursor() as cursor:
            cursor.executemany("INSERT INTO stage (resident_id, _fate) VALUES (%s, %s)", fates)

    def superseded(self, conn: psycopg.Connection, settings: Settings, by: Batch) -> int:
        manifest = journey.manifest_of(settings, SOURCE)
        return mended.superseded(conn, settings, contract_of(DATASET), manifest, by, STAGE)

    @pytest.mark.parametrize(("fate", "state"), [("H", "repaired"), ("G", "gone"), ("K", "open")])
    def test_a_later_row_of_the_key_settles_it(
        self, city_of: City, conn: psycopg.Connection, fate: str, state: str
    ) -> None:
        """The department mended the row itself, or removed it, or neither."""
        first, second = batch(conn, 1, "changes"), batch(conn, 2, "changes")
        quarantine.add(conn, city_of.settings, first, bad(resident(ADA), resident(BEN)))
        self.stage(conn, [(ADA, fate), (CAI, "H")])

        self.superseded(conn, city_of.settings, second)

        assert [(first.id, 1, state), (first.id, 2, "open")] == items(conn)

    def test_wrong_in_another_way_is_as_old_as_before(
        self, city_of: City, conn: psycopg.Connection
    ) -> None:
        """One item is open, and it has the age of the first."""
        first, second = batch(conn, 1, "changes"), batch(conn, 2, "changes")
        quarantine.add(conn, city_of.settings, first, bad(resident(ADA)))
        quarantine.add(conn, city_of.settings, second, bad(resident(ADA, "别名")))
        self.stage(conn, [(ADA, "K")])

        self.superseded(conn, city_of.settings, second)

        assert [(first.id, 1, "gone"), (second.id, 1, "open")] == items(conn)
        assert [1] == first_seen(conn)

    def test_an_older_number_is_the_same_key(self, city_of: City, conn: psycopg.Connection) -> None:
        """Fifteen digits in quarantine, eighteen in the row that came later."""
        first, second = batch(conn, 1, "changes"), batch(conn, 2, "changes")
        quarantine.add(conn, city_of.settings, first, bad(resident("110105491231002")))
        self.stage(conn, [(ADA, "H")])

        assert 1 == self.superseded(conn, city_of.settings, second)

    def test_a_row_without_a_key_waits(self, city_of: City, conn: psycopg.Connection) -> None:
        """No later row can be known to be the same."""
        first, second = batch(conn, 1, "changes"), batch(conn, 2, "changes")
        quarantine.add(conn, city_of.settings, first, bad(resident("1")))
        self.stage(conn, [(ADA, "H")])

        assert 0 == self.superseded(conn, city_of.settings, second)


class TestProtect:
    def test_a_snapshot_keeps_what_a_repair_brought_in(
        self, city_of: City, conn: psycopg.Connection
    ) -> None:
        """The source sends the wrong key still; the right one is staged as kept, once."""
        settings, contract = city_of.settings, contract_of(DATASET)
        first, second = batch(conn, 1), batch(conn, 2)
        wrong = resident("110105199001011233")
        quarantine.add(conn, settings, first, bad(wrong))
        cipher = AESGCM(settings.secret(quarantine.KEY))
        conn.execute(
            "UPDATE library.quarantine SET state = 'repaired', repair_key = %s",
            (quarantine.seal(cipher, first.id, 1, [BEN]),),
        )
        staging.create(conn, contract, STAGE, "TEMPORARY")
        protected: list[int] = []

        for came in (resident(ADA), wrong, wrong):
            quarantine.add(conn, settings, second, bad(came, start=len(protected) + 1))
            protected.append(mended.protect(conn, settings, contract, second, STAGE))

        assert [0, 1, 0] == protected
        assert [(BEN, "K")] == conn.execute("SELECT resident_id, _fate FROM stage").fetchall()


class TestWaive:
    def test_only_what_is_open(self, conn: psycopg.Connection, settings: Settings) -> None:
        """Settled twice is settled by whom?"""
        first = batch(conn, 1)
        quarantine.add(conn, settings, first, bad(resident(ADA)))
        quarantine.waive(conn, first.id, [1], reason="重复", by="李")

        with pytest.raises(WrongState, match="of 1 rows of batch 1 0 are open"):
            quarantine.waive(conn, first.id, [1], reason="重复", by="王")

    def test_not_without_a_reason(self, conn: psycopg.Connection) -> None:
        """An empty reason is none."""
        with pytest.raises(Invalid, match="why"):
            quarantine.waive(conn, 1, [1], reason="", by="李")


class TestSealed:
    def test_a_row_moved_to_another_place_does_not_open(
        self, conn: psycopg.Connection, settings: Settings
    ) -> None:
        """Its place is sealed with it; the error says the place and nothing else."""
        first = batch(conn, 1)
        quarantine.add(conn, settings, first, bad(resident(ADA, "秘密")))
        conn.execute("UPDATE library.quarantine SET row_number = 7")

        with pytest.raises(Invalid, match="row 7 of batch 1 does not open") as stop:
            list(quarantine.open_rows(conn, settings, SOURCE))

        assert "秘密" not in str(stop.value)


class TestAgeing:
    def test_figures_by_source(self, city_of: City, conn: psycopg.Connection) -> None:
        """How many, how old, whose; a rejected batch is nobody's work."""
        manifest = journey.manifest_of(city_of.settings, SOURCE)
        quarantine.add(conn, city_of.settings, batch(conn, 1), bad(resident(ADA), resident(BEN)))
        rejected = batch(conn, 2, state="rejected")
        quarantine.add(conn, city_of.settings, rejected, bad(resident(CAI)))
        for days, number in ((3, 1), (60, 2)):
            conn.execute(
                "UPDATE library.quarantine SET first_seen = now() - make_interval(days => %s)"
                " WHERE batch = 1 AND row_number = %s",
                (days, number),
            )

        (standing,) = ageing.standings(conn, [manifest])

        assert (2, {"1-7 days": 1, "> 30 days": 1}) == (standing.open, standing.ages)
        assert (manifest.owner, {"sex:unknown-code": 2}) == (standing.owner, standing.reasons)

    def test_the_trend_adds_up(self, conn: psycopg.Connection, settings: Settings) -> None:
        """Open at a day's end: open the day before, and new, and not settled."""
        quarantine.add(conn, settings, batch(conn, 1), bad(resident(ADA), resident(BEN)))
        conn.execute("UPDATE library.quarantine SET first_seen = now() - interval '1 day'")
        quarantine.waive(conn, 1, [1], reason="x", by="x")

        yesterday, today = ageing.trend(conn, days=2)

        assert (2, 0, 2) == (yesterday.new, yesterday.settled, yesterday.open)
        assert (0, 1, 1) == (today.new, today.settled, today.open)


class TestMoves:
    def test_every_state_says_where_it_may_go(self) -> None:
        """No state was forgotten."""
        assert set(State) == MOVES.keys()
        assert set().union(*MOVES.values()) <= set(State)

    @pytest.mark.parametrize("role", [Role.HUB, Role.VAULT])
    def test_nobody_else_reads_them(self, city_of: City, role: Role) -> None:
        """Neither the rows nor the references that are broken."""
        for table in ("quarantine", "broken_reference"):
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                city_of.settings.database.connect(role) as conn,
            ):
                conn.execute(f"SELECT FROM library.{table}".encode())
