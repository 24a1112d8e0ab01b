"""What a manifest may say, and what a wrong one is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, get_args

import pytest
import yaml

from connectors.feeds import Feed, Manifest, load_manifests, read_manifests
from connectors.feeds.manifest import AnyFeed
from connectors.testkit.city import SOURCES
from schemas.contract import load
from schemas.errors import Invalid


class TestCityManifests:
    def test_each_stands_in_the_file_of_its_name(self, manifests: dict[str, Manifest]) -> None:
        assert sorted(path.stem for path in SOURCES.glob("*.yaml")) == sorted(manifests)

    def test_every_field_of_the_contract_is_fed(self, manifests: dict[str, Manifest]) -> None:
        """No column without a field, no field without a column."""
        for manifest in manifests.values():
            contract = load(manifest.dataset)

            assert {field.name for field in contract.fields} == set(manifest.columns.values())

    def test_no_address_and_no_secret_is_in_them(self) -> None:
        """They name variables of the environment instead."""
        for path in SOURCES.glob("*.yaml"):
            text = path.read_text("utf-8")

            assert "://" not in text


class TestKinds:
    def test_every_kind_of_feed_is_opened_by_something_that_is_one(self) -> None:
        """Its settings name a class that has every verb of a feed."""
        kinds = get_args(get_args(AnyFeed)[0])
        verbs = {name for name in vars(Feed) if not name.startswith("_")}

        assert {"sql_changes", "sql_cursor", "sql_snapshot", "postgres_replication"} <= {
            get_args(kind.model_fields["kind"].annotation)[0] for kind in kinds
        }
        for kind in kinds:
            assert verbs | {"opened"} <= set(dir(resolve_name(kind.opened_by)))


class TestLoading:
    def test_the_unit_column_is_owed_too(self, manifests: dict[str, Manifest]) -> None:
        """Columns of fields first, those of units after: the order of checksums."""
        columns = manifests["units"].source_columns

        assert ("BDCDYH", "GXSJ", "MJDW") == (columns[0], *columns[-2:])

    @pytest.mark.parametrize(
        ("schedule", "interval"),
        [
            ("15s", timedelta(seconds=15)),
            ("1m", timedelta(minutes=1)),
            ("2h", timedelta(hours=2)),
            ("1d", timedelta(days=1)),
            ("0 3 * * *", None),
        ],
    )
    def test_schedules(self, tmp_path: Path, schedule: str, interval: timedelta | None) -> None:
        [manifest] = load_manifests(written(tmp_path, schedule=schedule))

        assert interval == manifest.interval

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"schedule": "often"}, "schedule"),
            ({"password": "secret"}, "password"),
            ({"columns": {"A": "name", "B": "name"}}, "same field"),
            ({"crosswalk": {"height": {"tall": "1"}}}, "no column feeds height"),
            ({"guards": {"deleted_at_most": 2, "quarantined_at_most": 0}}, "deleted_at_most"),
            ({"source": "../etc"}, "source"),
            ({"feed": {"kind": "carrier_pigeon"}}, "carrier_pigeon"),
            ({"pool": 0}, "pool"),
            ({"expected": {"every": "soon"}}, "expected"),
            ({"system": "the police's"}, "system"),
        ],
    )
    def test_a_wrong_one_is_told_what_is_wrong(
        self, tmp_path: Path, change: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(Invalid, match=rf"(?s)source\.yaml.*{told}"):
            load_manifests(written(tmp_path, **change))

    def test_what_is_said_of_the_department_s_system(self, tmp_path: Path) -> None:
        """Sources of one system share what it bears; a batch that does not come is missed."""
        said = {"system": "police", "pool": 2, "expected": {"every": "1d"}, "contact": "信息科"}
        [manifest] = load_manifests(written(tmp_path, **said))

        assert ("police", 2) == (manifest.system, manifest.pool)
        assert manifest.expected is not None
        assert timedelta(days=1) == manifest.expected.interval
        assert "永康市公安局 (信息科) must repair it" in manifest.wrong("it is torn").message

    def test_two_of_the_same_source(self, tmp_path: Path) -> None:
        folder = written(tmp_path)
        (folder / "again.yaml").write_text((folder / "source.yaml").read_text("utf-8"), "utf-8")

        with pytest.raises(Invalid, match="another manifest describes residents"):
            load_manifests(folder)

    def test_one_that_is_torn_leaves_the_others(self, tmp_path: Path) -> None:
        """What works all day reads what can be read, and learns why the rest cannot."""
        folder = written(tmp_path)
        (folder / "torn.yaml").write_text("source: [", "utf-8")

        [manifest], refused = read_manifests(folder.glob("*.yaml"))

        assert "residents" == manifest.source
        assert ["torn"] == list(refused)
        assert refused["torn"].startswith("torn.yaml is no source manifest")


def written(folder: Path, **changes: Any) -> Path:
    """A folder with the city's residents manifest, changed."""
    manifest = yaml.safe_load((SOURCES / "residents.yaml").read_text("utf-8"))
    manifest.update(changes)
    text = yaml.safe_dump(manifest, allow_unicode=True)
    (folder / "source.yaml").write_text(text, "utf-8")
    return folder
