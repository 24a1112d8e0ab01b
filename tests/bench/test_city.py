"""The rehearsal of a city, as small as it goes: its channels, its rows, and the way of a few."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from psycopg.conninfo import make_conninfo

from connectors.feeds import load_manifest, open_feed
from exchange import bootstrap
from exchange.libraries.check import check
from exchange.postgres import SUPERUSER
from schemas import contract
from tests.bench import city
from tests.bench.channels import CHANNELS, Channel
from tests.bench.city import Rehearsal, own_contracts
from tests.bench.departments import Departments
from tests.conftest import RunningCluster

FEW = 0.00001
SOME = {"population.resident", "population.birth", "space.parcel", "transport.vehicle"}


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """What the rehearsal says to its processes is forgotten after a test."""
    with patch.dict(os.environ):
        yield


@pytest.fixture
def departments(cluster: RunningCluster, tmp_path: Path) -> Iterator[Departments]:
    """Departments that have their people and bodies, and the installation's own contracts."""
    cluster.create("departments")
    dsn = make_conninfo(
        host="127.0.0.1",
        port=cluster.cluster.port,
        user=SUPERUSER,
        password=bootstrap.superuser_password(cluster.home),
        dbname="departments",
    )
    (tmp_path / "sources").mkdir()
    made = Departments(dsn, tmp_path / "drops", tmp_path / "sources", Rehearsal(FEW, CHANNELS).city)
    with own_contracts(tmp_path / "contracts"):
        made.open()
        yield made
    cluster.drop("departments")


class TestChannels:
    def test_they_are_a_citys(self) -> None:
        """46 channels, each of a dataset of its own, 41,680,000 rows."""
        assert 46 == len({channel.dataset for channel in CHANNELS})
        assert 41_680_000 == sum(channel.rows for channel in CHANNELS)


class TestRows:
    def test_every_channel_sends_what_its_contract_lets_in(self, departments: Departments) -> None:
        """All that is refused are the numbers that were spoiled on purpose."""
        for channel in CHANNELS:
            rows = departments.deliver(channel, city.LEAST)

            reasons, refused = _judged(departments, channel, rows)

            assert refused <= 2, f"{channel.dataset}: {reasons}"
            assert {"check-character"} >= {reason.split(":")[1] for reason in reasons}


class TestMeasure:
    def test_a_few_channels_go_the_whole_way(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Tables, CSV and Parquet are made, collected and counted; the statement says how many."""
        monkeypatch.setenv("YIZHAN_BENCH_FRACTION", str(FEW))
        monkeypatch.setattr(city, "processes", ThreadPoolExecutor)
        some = tuple(channel for channel in CHANNELS if channel.dataset in SOME)

        found = {each.name: each for each in city.measure(tmp_path, some)}

        assert {f"city_{name}" for name in _NAMES} == set(found)
        assert all(figure.value > 0 for figure in found.values())
        assert "by proportion" in found["city_min"].against
        assert "4 channels" in found["city_min"].against


_NAMES = ("min", "rows_per_s", "peak_mb", "landed_gb", "tables_gb", "log_gb")


def _judged(departments: Departments, channel: Channel, rows: int) -> tuple[dict[str, int], int]:
    """Why rows that a channel's feed reads were refused, and how many."""
    manifest = load_manifest(departments.sources / f"{channel.source}.yaml")
    with closing(open_feed(manifest, os.environ)) as feed:
        window = feed.plan(None)
        assert window is not None
        read = pa.Table.from_batches(list(feed.read(window)))
    assert rows == read.num_rows
    _, tally = check(read, contract.load(channel.dataset), manifest, window.mode)
    return dict(tally.reasons), tally.quarantined
