"""The demo city's departments as they really answer, and the truth of what they sent."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
import uvicorn

from connectors.feeds import load_manifests
from connectors.testkit.city import SOURCES, City, desks, generate
from connectors.testkit.city.truth import BROKEN_REFERENCE, Expected
from connectors.testkit.gateway import append_rows
from connectors.testkit.gateway.__main__ import Gateway
from exchange.database import Role
from exchange.demo import checks
from exchange.libraries import batches, journey, thematic
from exchange.libraries.check import check
from exchange.settings import Settings
from schemas.contract import all_contracts, load
from tests.conftest import RunningCluster, free_port
from tests.connectors.feeds.conftest import (  # noqa: F401 - fixtures
    DAY,
    Police,
    Registry,
    city,
    drop,
    estate,
    office,
    police,
)
from tests.exchange.libraries.built_by_hand import BUILT, Library, found

OWNERSHIP = "real_estate_registration.ownership"
BROKEN = b"SELECT dataset, count(*) FROM library.broken_reference GROUP BY dataset"


@pytest.fixture
def cloud_reader(cluster: RunningCluster, city: City) -> Iterator[str]:  # noqa: F811 - pytest hands fixtures in by name
    """The government cloud, filled; the DSN of its reader."""
    name = f"cloud_{secrets.token_hex(4)}"
    cluster.create(name)
    with cluster.admin(name) as admin:
        dsn = admin.info.dsn + f" password={admin.info.password}"
    yield desks.fill_cloud(dsn, city.tables, reader_password="read-only")
    cluster.drop(name)


@dataclass(frozen=True)
class Platform:
    """The exchange platform's gateway: its folder, and what the manifests ask for."""

    folder: Path
    secrets: Mapping[str, str]


@pytest.fixture
def platform(tmp_path: Path, city: City) -> Iterator[Platform]:  # noqa: F811 - pytest hands fixtures in by name
    """The gateway, listening in a thread: a process takes seconds to start."""
    folder, port = tmp_path / "platform", free_port()
    access = desks.open_platform(folder, city.tables)
    config = uvicorn.Config(Gateway.of(folder).app(), port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    found = {
        "YIZHAN_SOURCE_PLATFORM_URL": f"http://127.0.0.1:{port}",
        "YIZHAN_SOURCE_PLATFORM_REQUESTER": access.requester,
        "YIZHAN_SOURCE_PLATFORM_KEY": access.app_key,
    }
    yield Platform(folder, found)
    server.should_exit = True
    thread.join()


@pytest.fixture
def departments(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    city: City,  # noqa: F811 - pytest hands fixtures in by name
    police: Police,  # noqa: F811 - pytest hands fixtures in by name
    drop: Path,  # noqa: F811 - pytest hands fixtures in by name
    estate: Registry,  # noqa: F811 - pytest hands fixtures in by name
    cloud_reader: str,
    platform: Platform,
) -> Settings:
    """Settings whose sources are the city's running departments."""
    settings.sources.symlink_to(SOURCES)
    desks.hand_out(tmp_path / "desks", DAY, city.tables)
    desks.load_addresses(police.clerk, city.tables, reader_password="read-only")
    found = {
        **estate.secrets,
        **platform.secrets,
        **{desk.variable: str(tmp_path / "desks" / desk.folder) for desk in desks.DESKS.values()},
        "YIZHAN_SOURCE_CLOUD_DSN": cloud_reader,
        "YIZHAN_SOURCE_RESIDENTS_DSN": police.reader,
        "YIZHAN_SOURCE_REGISTRATIONS_FOLDER": str(drop),
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return settings


def sources() -> dict[str, str]:
    """The sources by the dataset that they feed."""
    return {manifest.dataset: manifest.source for manifest in load_manifests(SOURCES)}


def columns(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """What a statement finds, column by column."""
    with settings.database.connect(Role.INGEST) as conn:
        return list(zip(*conn.execute(sql.encode()).fetchall(), strict=True))


def told(expected: Expected) -> dict[str, object]:
    """What the counts of a dataset must be."""
    return {
        "landed": expected.rows_sent,
        "inserted": expected.library_rows,
        "duplicate": expected.duplicates,
        "reasons": dict(+expected.quarantined),
        "mended": dict(+expected.normalised),
        "aliases": expected.aliases.total(),
    }


def fate(expected: Expected) -> dict[str, object]:
    """What the checks alone must say of a dataset."""
    return {
        "landed": expected.rows_sent,
        "held": expected.library_rows,
        "duplicate": expected.duplicates,
        "reasons": dict(+expected.quarantined),
        "mended": dict(+expected.normalised),
    }


def seen(counts: Mapping[str, object]) -> dict[str, object]:
    """The same of a batch, its reasons by their kind."""
    names = ("landed", "inserted", "duplicate", "mended", "aliases")
    assert isinstance(counts["reasons"], dict)
    return {**{name: counts[name] for name in names}, "reasons": checks.by_kind(counts["reasons"])}


class TestChecks:
    @pytest.mark.parametrize(("seed", "people"), [(1, 100), (2, 1000), (20261122, 20_000)])
    def test_what_was_planted_is_refused_and_nothing_else(self, seed: int, people: int) -> None:
        """Whatever the seed and the size, each row has the one fate that the truth knows."""
        made = generate(seed, people)
        wanted, counts = dict[str, object](), dict[str, object]()
        for manifest in load_manifests(SOURCES):
            if table := made.tables.get(manifest.dataset):
                rows = pa.Table.from_pylist(table.as_rows())
                _, tally = check(rows, load(table.dataset), manifest, "snapshot")
                wanted[table.dataset] = fate(table.expected)
                counts[table.dataset] = {
                    "landed": tally.landed,
                    "held": tally.holding,
                    "duplicate": tally.duplicate,
                    "reasons": checks.by_kind(tally.reasons),
                    "mended": dict(+tally.mended),
                }

        assert wanted == counts


class TestCity:
    def test_every_base_dataset_has_a_source(self, city: City) -> None:  # noqa: F811 - pytest hands fixtures in by name
        """Each contract of a base dataset is fed by one manifest, and its truth is known."""
        base = {contract.id for contract in all_contracts() if contract.kind == "base"}

        assert base == sources().keys() == city.truth.datasets.keys()

    def test_every_row_is_where_the_truth_says(self, departments: Settings, city: City) -> None:  # noqa: F811 - pytest hands fixtures in by name
        """Loaded, doubled, mended and refused rows are the ones planted, in every dataset."""
        wanted, counts = dict[str, object](), dict[str, object]()
        for dataset, source in sources().items():
            outcome = journey.collect(departments, source)
            assert outcome is not None
            wanted[dataset] = told(city.truth.datasets[dataset])
            counts[dataset] = seen(outcome.counts)
            assert [] == journey.audit(departments, outcome.batch)
        assert wanted == counts
        # As at night: what a source says twice the judge counts once.
        assert journey.collect(departments, sources()["space.parcel"]) is not None

        for contract in thematic.thematic():
            assert thematic.build(departments, contract.id) is not None, contract.id

        with departments.database.connect(Role.OWNER) as owner:
            findings = list(checks.against_truth(owner, city.truth))
            broken: dict[str, int] = dict(owner.execute(BROKEN).fetchall())
            library = Library(owner)
            opinions = {dataset: work_out(library) for dataset, (_, work_out) in BUILT.items()}
            held = {dataset: found(library, dataset, opinions[dataset]) for dataset in BUILT}
        assert [] == [finding.line for finding in findings if not finding.true]
        assert opinions == held
        assert broken == {
            dataset: count
            for dataset, expected in city.truth.datasets.items()
            if (count := expected.planted[BROKEN_REFERENCE])
        }

    def test_an_entry_on_a_list_reaches_the_institution(
        self,
        departments: Settings,
        city: City,  # noqa: F811 - pytest hands fixtures in by name
        platform: Platform,
    ) -> None:
        """Whoever is put on a list is no longer in good standing, and nobody else is looked at."""
        of = "off_campus_tutoring.institution"
        for source in ("registrations", "tutoring-licenses", "penalties", "repairs", "blacklist"):
            journey.collect(departments, source)
        thematic.build(departments, of)
        good = "SELECT uscc FROM library.off_campus_tutoring_institution WHERE in_good_standing"
        [before] = columns(departments, good)
        entries = city.tables["credit.blacklist"].as_rows()
        sound = next(row for row in entries if row["SHXYM"] and row["DQZT"] == "在列")
        append_rows(
            platform.folder, "s_yzsx", [{**sound, "BH": "YKSX2026999999", "SHXYM": before[0]}]
        )

        journey.collect(departments, "blacklist")
        built = thematic.build(departments, of)

        [after] = columns(departments, good)
        assert set(before) - {before[0]} == set(after)
        with departments.database.connect(Role.INGEST) as conn:
            counts = batches.get(conn, built or 0).counts
        assert (1, 1) == (counts["touched"], counts["updated"])

    def test_a_sale_touches_one_unit(
        self,
        departments: Settings,
        city: City,  # noqa: F811 - pytest hands fixtures in by name
        estate: Registry,  # noqa: F811 - pytest hands fixtures in by name
    ) -> None:
        """A sale entered at the registry reaches the thematic library; no other unit is rebuilt."""
        for source in ("units", "rights"):
            journey.collect(departments, source)
        thematic.build(departments, OWNERSHIP)
        cast = city.truth.cast
        sold = httpx.post(
            f"{estate.url}/clerk/v1/transfers",
            headers={"Authorization": f"Bearer {estate.access.clerk_token}"},
            json={
                "unit_no": cast.unit_no,
                "buyer_id": cast.buyer.resident_id,
                "buyer_name": cast.buyer.name,
                "at": "2026-11-22T08:00:00+08:00",
            },
        )
        assert 201 == sold.status_code, sold.text

        outcome = journey.collect(departments, "rights")
        built = thematic.build(departments, OWNERSHIP)

        assert outcome is not None
        assert outcome.counts["inserted"] >= 1
        assert thematic.build(departments, OWNERSHIP) is None
        owner = "SELECT holder_id = %s FROM library.real_estate_registration_ownership"
        with departments.database.connect(Role.INGEST) as conn:
            touched = conn.execute(
                "SELECT (counts->>'touched')::int FROM library.batch WHERE id = %s", (built,)
            ).fetchone()
            bought = conn.execute(
                f"{owner} WHERE unit_no = %s".encode(), (cast.buyer.resident_id, cast.unit_no)
            ).fetchall()
        assert (1,) == touched
        assert [(True,)] == bought
