"""A full disk: under the landed batches, and under PostgreSQL.

What was acknowledged stays, what cannot be kept is refused by name, and when there is room again
everything goes on by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.client import Client, HubUnavailable
from connectors.testkit import city
from connectors.testkit.city import City, generate, registry
from exchange import bootstrap, migrate
from exchange.database import Role
from exchange.demo import waiting
from exchange.libraries import journey
from exchange.settings import Settings
from schemas.errors import Unavailable
from tests.conftest import RunningCluster, running_cluster
from tests.exchange.hubs import AUTHORITY, LI, RESOURCE, RunningHub, add_resident, running_hub
from tests.journeys.small_disk import SmallDisk, small_disk

DAY = date(2026, 11, 22)
SOURCE = "registrations"
KILO, MEGA = 1 << 10, 1 << 20
CONTENT = "SELECT * FROM library.legal_entity_registration ORDER BY uscc"
BATCHES = "SELECT id, state, file IS NOT NULL FROM library.batch ORDER BY id"


@pytest.fixture(scope="module")
def registrations() -> City:
    """A city whose market regulator drops files."""
    return generate(seed=3, people=1000)


@pytest.fixture
def regulator(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registrations: City
) -> Path:
    """The drop folder with the whole register in it; the product knows where it is."""
    return _dropped(settings, tmp_path / "drop", monkeypatch, registrations)


def _dropped(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, made: City) -> Path:
    settings.sources.mkdir(parents=True)
    shutil.copyfile(city.SOURCES / f"{SOURCE}.yaml", settings.sources / f"{SOURCE}.yaml")
    monkeypatch.setenv("YIZHAN_SOURCE_REGISTRATIONS_FOLDER", str(folder))
    registry.drop_whole(folder, DAY, made.registrations)
    return folder


class TestLanding:
    @pytest.fixture
    def disk(self, settings: Settings, tmp_path: Path) -> Iterator[SmallDisk]:
        """The landing folder is a disk of its own."""
        with small_disk(tmp_path / "disk", 256 * KILO) as disk:
            settings.landing.symlink_to(disk.folder)
            yield disk

    @pytest.mark.parametrize("room", [0, 4 * KILO], ids=["nothing fits", "the beginning fits"])
    def test_it_goes_on_when_there_is_room_again(
        self, settings: Settings, regulator: Path, disk: SmallDisk, registrations: City, room: int
    ) -> None:
        """A named error, nothing half-written, the library as it was; then the window again."""
        journey.collect(settings, SOURCE)
        before, kept = _rows(settings, CONTENT), _landed(settings)
        registry.drop_increment(regulator, DAY, 1, [("U", _renamed(registrations))])
        disk.fill(leave=room)

        with pytest.raises(Unavailable, match=r"the landing folder .*No space left"):
            journey.collect(settings, SOURCE)

        assert before == _rows(settings, CONTENT)
        assert kept == _landed(settings)
        assert [(1, "published", True), (2, "landing", False)] == _rows(settings, BATCHES)

        disk.free()
        outcome = journey.collect(settings, SOURCE)

        assert outcome is not None
        assert (2, "published", 1) == (outcome.batch, outcome.state, outcome.counts["updated"])
        assert len(before) == len(_rows(settings, CONTENT))


def _renamed(made: City) -> dict[str, Any]:
    sound = made.truth.licensable["business_license"][0]
    row = next(row for row in made.registrations if row["UNISCID"] == sound)
    return {**row, "ENTNAME": "永康市换名有限公司"}


def _landed(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.landing / SOURCE).iterdir())


def _rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with settings.database.connect(Role.OWNER) as owner:
        return owner.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def server_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A disk for one PostgreSQL, log and all."""
    with small_disk(tmp_path_factory.mktemp("small") / "disk", 192 * MEGA) as disk:
        yield disk


@pytest.fixture(scope="module")
def server(server_disk: SmallDisk) -> Iterator[RunningCluster]:
    """A PostgreSQL on that disk."""
    if os.geteuid() == 0 and server_disk.folder.is_relative_to("/proc"):
        pytest.skip("PostgreSQL runs as another user than root, whom a disk of root's is closed to")
    with running_cluster(server_disk.folder) as server:
        if server.cluster.os_user:
            pytest.skip("PostgreSQL's folder cannot be chosen on this machine")
        yield server


@pytest.fixture(scope="module")
def hub(server: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub over it, with a resident; its home is on another disk."""
    home = tmp_path_factory.mktemp("home")
    database = bootstrap.prepare(server.cluster, server.home)
    migrate.upgrade(database)
    settings = Settings(home, "http://127.0.0.1:8000", database, home / "sources")
    with running_hub(settings) as hub:
        add_resident(hub)
        yield hub


@pytest.fixture(scope="module")
def client(hub: RunningHub) -> Client:
    """A client that may ask for the resident's name."""
    client = hub.client()
    hub.give()
    return client


class TestPostgres:
    def test_calls_and_batches_wait_for_room(
        self,
        hub: RunningHub,
        client: Client,
        server_disk: SmallDisk,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        registrations: City,
    ) -> None:
        """Nothing is answered without evidence, nothing loaded by halves, nothing lost."""
        _dropped(hub.settings, tmp_path / "drop", monkeypatch, registrations)
        acknowledged = [_asked(client) for _ in range(20)]
        server_disk.fill()

        with pytest.raises(Unavailable) as stopped:
            journey.collect(hub.settings, SOURCE)
        refusal = _asked_until_refused(client, acknowledged)

        assert "53100" in stopped.value.message  # disk_full
        assert 503 == refusal.problem["status"]
        assert refusal.problem["code"] in ("ledger-unavailable", "unavailable")
        assert refusal.problem["retry"]
        assert [] == _rows(hub.settings, CONTENT)
        assert set(acknowledged) <= _receipts(hub)

        server_disk.free()
        acknowledged.append(_asked(client))
        outcome = journey.collect(hub.settings, SOURCE)

        assert set(acknowledged) <= _receipts(hub)
        assert outcome is not None
        expected = registrations.truth.datasets["legal_entity.registration"]
        assert ("published", expected.library_rows) == (outcome.state, outcome.counts["inserted"])

    def test_a_server_that_had_to_stop_comes_back(
        self, hub: RunningHub, client: Client, server: RunningCluster, server_disk: SmallDisk
    ) -> None:
        """Without room for its log PostgreSQL stops; started again, it has what was promised."""
        acknowledged = [_asked(client) for _ in range(20)]
        server_disk.fill()
        _fill_the_log(server)

        refusal = _asked_until_refused(client, acknowledged)

        assert 503 == refusal.problem["status"]
        assert 0 != server.server.wait(timeout=30)

        server_disk.free()
        with _started_again(server):
            waiting.wait_until(
                lambda: (_answers(client), "the hub"), lambda _: None, seconds=30, what="an answer"
            )

            assert set(acknowledged) <= _receipts(hub)


def _fill_the_log(server: RunningCluster) -> None:
    """Write into the write-ahead log until it takes no more."""
    with contextlib.suppress(psycopg.OperationalError), server.admin() as admin:
        for _ in range(400):
            admin.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1 << 20))")


@contextlib.contextmanager
def _started_again(server: RunningCluster) -> Iterator[None]:
    """The same PostgreSQL in a new process, as a supervisor would start it."""
    with (server.home / "postgres.log").open("ab") as log:
        process = subprocess.Popen(server.cluster.command(), stdout=log, stderr=log)
    try:
        server.cluster.wait(bootstrap.superuser_password(server.home))
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _answers(client: Client) -> bool:
    try:
        return bool(_asked(client))
    except HubUnavailable:
        return False


def _asked(client: Client) -> str:
    return str(client.query(RESOURCE, LI, ["name"], AUTHORITY)["receipt"])


def _asked_until_refused(client: Client, acknowledged: list[str]) -> HubUnavailable:
    """Ask until the room inside PostgreSQL's own pages is used up, too."""
    for _ in range(2000):
        try:
            acknowledged.append(_asked(client))
        except HubUnavailable as refusal:
            return refusal
    raise AssertionError("a full disk refused nothing")


def _receipts(hub: RunningHub) -> set[str]:
    return {entry["receipt"] for entry in hub.entries()}
