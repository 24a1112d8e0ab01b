"""What departments do wrong: be down, change their columns, drop a file that is not whole.

Each ends in an error that names it, the library stays as it was, and nothing is lost once it is
mended, which every test here does itself.
"""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from connectors.feeds import PermanentFailure, TransientFailure, http_pages
from connectors.testkit.city import generate, population, registry
from connectors.testkit.city.lots import Row
from exchange.demo import chapters
from exchange.demo.clients import TAX, TAX_CHECK
from exchange.demo.departments import FIRST_DAY
from exchange.demo.running import Demo
from exchange.demo.story import Story
from exchange.libraries import journey
from exchange.libraries.check import Drifted
from schemas.grant import Subject
from tests.journeys import size
from tests.journeys.by_hand import by_hand, collected, content, held


class TestSourceThatIsDown:
    def test_it_is_named_and_everything_else_goes_on(
        self, demo: Demo, told: Story, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pull ends in an error to be tried again; the hub answers from the library."""
        monkeypatch.setattr(http_pages, "ATTEMPTS", 2)
        with by_hand(demo, "rights", monkeypatch):
            before = content(demo, "real_estate_right")
            with demo.supervisor.without("real-estate"):
                with pytest.raises(TransientFailure, match="rights: no answer after 2 tries"):
                    collected(demo, "rights")
                assert _owned(demo)

            collected(demo, "rights")

            assert before == content(demo, "real_estate_right")


class TestSchemaThatDrifted:
    @pytest.mark.parametrize(
        ("drift", "mending", "diff"),
        [
            ('ADD COLUMN "XP" text', 'DROP COLUMN "XP"', ["new XP"]),
            (
                'RENAME COLUMN "JZDZ" TO "XZDZ"',
                'RENAME COLUMN "XZDZ" TO "JZDZ"',
                ["missing JZDZ", "new XZDZ"],
            ),
        ],
        ids=["a new column", "a renamed column"],
    )
    def test_the_batch_waits_with_the_difference(
        self,
        demo: Demo,
        told: Story,
        monkeypatch: pytest.MonkeyPatch,
        drift: str,
        mending: str,
        diff: list[str],
    ) -> None:
        """Nothing of it enters; once the department has mended it the same change does."""
        somebody = demo.departments.truth.cast.canaries[0].resident_id
        with by_hand(demo, "residents", monkeypatch):
            collected(demo, "residents")
            before = content(demo, "population_resident")
            address = f"永康市金城路{len(drift)}号"
            population.move(
                demo.departments.police_dsn, somebody, address=address, at=datetime.now(UTC)
            )
            _alter_register(demo, drift)
            try:
                with pytest.raises(Drifted) as stop:
                    collected(demo, "residents")
                stopped = content(demo, "population_resident")
            finally:
                _alter_register(demo, mending)

            assert diff == stop.value.diff
            assert before == stopped

            journey.reject(
                demo.settings, held(demo, "residents"), reason="mended at the source", by="test"
            )
            outcome = collected(demo, "residents")

            assert outcome is not None
            assert 1 == outcome.counts["updated"]
            assert len(before) == len(content(demo, "population_resident"))


class TestDroppedFile:
    def test_one_that_is_not_whole_is_refused_and_named(
        self, demo: Demo, told: Story, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not a row of it enters; the department drops it again, and it does."""
        folder = demo.departments.folder / "drop"
        number = len(list(folder.glob(f"*_{FIRST_DAY:%Y%m%d}_[0-9]*.csv"))) + 1
        name = f"frk_{FIRST_DAY:%Y%m%d}_{number:03d}.csv"
        change = [("U", _moved_to(f"永康市新址路{number}号"))]
        with by_hand(demo, "registrations", monkeypatch):
            before = content(demo, "legal_entity_registration")
            registry.drop_damaged(folder, FIRST_DAY, number, change)

            with pytest.raises(PermanentFailure, match=f"{name} is refused: its SM3"):
                collected(demo, "registrations")

            assert before == content(demo, "legal_entity_registration")

            registry.drop_increment(folder, FIRST_DAY, number, change)
            outcome = collected(demo, "registrations")

            assert outcome is not None
            assert 1 == outcome.counts["updated"]


def _owned(demo: Demo) -> bool:
    """The hub says that a unit has an owner."""
    unit = Subject("cn.real_estate_unit", demo.departments.truth.cast.unit_no)
    with chapters.client(demo, TAX) as tax:
        return bool(tax.query(chapters.OWNERSHIP, unit, ["location"], TAX_CHECK)["found"])


def _alter_register(demo: Demo, change: str) -> None:
    """What the police's administrator does to the table and its log."""
    with psycopg.connect(demo.departments.police_dsn) as police:
        for table in ("rkk.ryjbxx", "rkk.ryjbxx_bg"):
            police.execute(f"ALTER TABLE {table} {change}".encode())


def _moved_to(address: str) -> Row:
    """A sound registration, at a new address."""
    made = generate(size.SEED, size.PEOPLE)
    sound = made.truth.licensable["business_license"][-1]
    row = next(row for row in made.registrations if row["UNISCID"] == sound)
    return {**row, "DOM": address}
