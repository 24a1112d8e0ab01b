"""kill -9 at random moments while a register is followed and a library is built from it.

A victim collects and builds without end; it is killed, the department goes on working, the next
victim takes over. At the end the library is what one quiet run over the same department makes of
it, every row once, and the windows of the ledger follow each other without gap or overlap.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import yaml

from connectors.testkit.city import SOURCES, City, generate, population
from exchange.database import Database, Role
from exchange.libraries import journey, leftovers, staging, thematic
from exchange.settings import Settings
from schemas.identifiers import mended
from tests.conftest import LONG, RunningCluster
from tests.connectors.feeds.conftest import Police, city, police

__all__ = ["city", "police"]

ROUNDS = 200 if LONG else 20
SEED = 20261122
BUILT = "medical_insurance.entitlement"
TABLES = (
    "population_resident",
    "medical_insurance_enrollment",
    "medical_insurance_entitlement",
)
ROWS = "SELECT (to_jsonb(t) - '_batch' - '_since')::text FROM library.{} t ORDER BY 1"
VICTIM = f"""
import time
from exchange.libraries import journey, thematic
from exchange.settings import Settings
from schemas.errors import Unavailable

settings = Settings.load()
print("at work", flush=True)
while True:
    for deed in (
        lambda: journey.collect(settings, "residents"),
        lambda: journey.collect(settings, "medical-enrollments"),
        lambda: thematic.build(settings, "{BUILT}"),
    ):
        try:
            deed()
        except Unavailable:
            pass
    time.sleep(0.01)
"""


def enrollments() -> list[dict[str, str | None]]:
    """The insurance bureau, by a function: it says the same every time."""
    return [dict(row) for row in generate(7, 1000).tables["medical_insurance.enrollment"].as_rows()]


@pytest.fixture
def followed(settings: Settings, police: Police, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two sources, and an environment from which victims find them and the database."""
    settings.sources.mkdir()
    shutil.copy(SOURCES / "residents.yaml", settings.sources)
    manifest = yaml.safe_load((SOURCES / "medical-enrollments.yaml").read_text("utf-8"))
    manifest["feed"] = {"kind": "python", "reader": f"{__name__}:enrollments"}
    written = yaml.safe_dump(manifest, allow_unicode=True)
    (settings.sources / "medical-enrollments.yaml").write_text(written)
    _environment(settings, monkeypatch)
    monkeypatch.setenv("YIZHAN_SOURCE_RESIDENTS_DSN", police.reader)
    return settings


def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.home / "secrets").mkdir(mode=0o700, exist_ok=True)
    where = settings.database
    for role, password in where.passwords.items():
        (settings.home / "secrets" / f"{role}.password").write_text(password)
    monkeypatch.setenv("YIZHAN_HOME", str(settings.home))
    url = f"postgresql://{where.host}:{where.port}/{where.name}"
    monkeypatch.setenv("YIZHAN_DATABASE_URL", url)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


class TestKilled:
    @pytest.mark.long
    @pytest.mark.timeout(3000 if LONG else 600)
    def test_source_rows_are_library_rows(
        self,
        followed: Settings,
        police: Police,
        city: City,
        cluster: RunningCluster,
        template: Database,
    ) -> None:
        """Twenty times, or two hundred; nothing is lost, doubled or half-way."""
        dice = random.Random(SEED)
        people = _movable(city)
        for _ in range(ROUNDS):
            _killed(dice)
            for person in dice.sample(people, 3):
                at = datetime.now(UTC)
                population.move(police.clerk, person, address=f"{dice.random()}号", at=at)
            if dice.random() < 0.3 and len(people) > 400:
                population.strike(police.clerk, people.pop(dice.randrange(len(people))))
        _settle(followed)

        found, quiet = _content(followed), _quietly(followed, cluster, template)
        differ = [len(set(a) ^ set(b)) for a, b in zip(found, quiet, strict=True)]
        assert [0, 0, 0] == differ, [sorted(set(found[0]) ^ set(quiet[0]))[:4]]
        _adds_up(followed)

    def test_a_planted_loss_is_seen(
        self,
        followed: Settings,
        cluster: RunningCluster,
        template: Database,
    ) -> None:
        """A row that somebody takes out of the library does not go unnoticed."""
        _settle(followed)
        with followed.database.connect(Role.INGEST) as conn:
            conn.execute(
                "DELETE FROM library.population_resident WHERE resident_id ="
                " (SELECT min(resident_id) FROM library.population_resident)"
            )
        assert _quietly(followed, cluster, template) != _content(followed)


def _movable(city: City) -> list[str]:
    """People who are entered once, however spelled: a second entry would contradict a move."""
    numbers = [mended("resident", str(row["GMSFHM"]))[0] for row in city.residents]
    inside = Counter(number[-12:-1] if len(number) == 18 else number[-9:] for number in numbers)
    return sorted(
        sent
        for row, number in zip(city.residents, numbers, strict=True)
        if (sent := str(row["GMSFHM"])) == number
        and len(number) == 18
        and 1 == inside[number[-12:-1]]
        and 0 == inside[number[8:17]]
    )


def _killed(dice: random.Random) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM], env=os.environ, stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    assert victim.stdout.readline()
    time.sleep(dice.uniform(0.0, 1.5))
    assert victim.poll() is None, "the victim ended before it was killed"
    victim.kill()
    victim.communicate()


def _settle(settings: Settings) -> None:
    """What the next run does: sweep, collect to the end, build."""
    leftovers.sweep(settings)
    journey.collect(settings, "medical-enrollments")  # a function, which always has something
    while journey.collect(settings, "residents") is not None:
        pass
    leftovers.sweep(settings)


def _content(settings: Settings) -> list[list[tuple[object, ...]]]:
    """What the three datasets hold, without what a run adds."""
    with settings.database.connect(Role.INGEST) as conn:
        return [conn.execute(ROWS.format(table).encode()).fetchall() for table in TABLES]


def _quietly(
    settings: Settings, cluster: RunningCluster, template: Database
) -> list[list[tuple[object, ...]]]:
    """The oracle: one undisturbed run over the same departments, into an empty database."""
    name = f"{settings.database.name}_quiet"
    cluster.create(name, template.name)
    quiet = replace(
        settings, home=settings.home / "quiet", database=replace(settings.database, name=name)
    )
    quiet.home.mkdir(mode=0o700)
    try:
        _settle(quiet)
        return _content(quiet)
    finally:
        shutil.rmtree(quiet.home)
        cluster.drop(name)


def _adds_up(settings: Settings) -> None:
    """Windows follow each other, versions of a row do not overlap, nothing is left lying about."""
    with settings.database.connect(Role.INGEST) as conn:
        windows = conn.execute(
            "SELECT window_start, lag(window_end) OVER (ORDER BY id) FROM library.batch"
            " WHERE source = 'residents' AND state = 'published' ORDER BY id OFFSET 1"
        ).fetchall()
        assert all(start == before for start, before in windows)
        assert len(windows) >= ROUNDS // 10  # or nothing was followed at all
        assert [] == _overlaps(conn)
        assert [] == staging.tables(conn)
        assert [(0,)] == conn.execute(
            "SELECT count(*) FROM library.batch WHERE state NOT IN ('published', 'rejected')"
        ).fetchall()
        files = {
            file for (file,) in conn.execute("SELECT file FROM library.batch WHERE file <> ''")
        }
    lying = {f"{path.parent.name}/{path.name}" for path in settings.landing.glob("*/*")}
    assert files == lying


def _overlaps(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    return conn.execute(
        """
        WITH version AS (
            SELECT resident_id, _during AS during FROM library.population_resident_history
            UNION ALL
            SELECT resident_id, tstzrange(_since, NULL) FROM library.population_resident)
        SELECT a.resident_id FROM version a JOIN version b USING (resident_id)
         WHERE a.during < b.during AND a.during && b.during
        """
    ).fetchall()


def test_the_ledger_names_what_is_built() -> None:
    """The dataset of these rounds is one that is built."""
    assert BUILT in {contract.id for contract in thematic.thematic()}
