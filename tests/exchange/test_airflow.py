"""What Airflow is told from manifests and environment, without starting it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from connectors.feeds import load_manifests
from connectors.testkit.city import SOURCES
from exchange import airflow
from exchange.airflow import Airflow
from exchange.settings import Settings


@pytest.fixture
def beside(settings: Settings) -> Airflow:
    """An Airflow that would run beside the test's home."""
    shutil.copytree(SOURCES, settings.sources)
    return Airflow(settings, 1, 2, 3, {})


class TestPools:
    def test_every_system_has_one(self, beside: Airflow) -> None:
        """Sources of one system share a pool, as large as the largest of them allows."""
        manifests = load_manifests(SOURCES)

        found = airflow.pools(beside.settings)

        assert {f"system:{each.system or each.source}" for each in manifests} == set(found)
        assert all(slots >= 1 for slots in found.values())

    def test_a_manifest_that_cannot_be_read_asks_for_none(self, beside: Airflow) -> None:
        """The others keep theirs."""
        before = airflow.pools(beside.settings)
        (beside.settings.sources / "torn.yaml").write_text("source: torn\n", "utf-8")

        assert before == airflow.pools(beside.settings)

    def test_where_airflow_is_not_ours_nothing_is_done(self, beside: Airflow) -> None:
        """An operator's own Airflow is left alone."""
        airflow.keep_pools(beside.settings)


class TestLineage:
    def test_goes_to_a_file_of_the_home(
        self, beside: Airflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unless somebody names a place."""
        monkeypatch.setattr("exchange.airflow.LINEAGE", ("NOBODY_SETS_",))
        transport = json.loads(beside.environment()["AIRFLOW__OPENLINEAGE__TRANSPORT"])

        assert beside.settings.home == Path(transport["log_file_path"]).parent.parent

    def test_goes_where_the_operator_says(
        self, beside: Airflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A transport that is configured already is not overruled."""
        monkeypatch.setenv("OPENLINEAGE_URL", "http://lineage.example")

        assert "AIRFLOW__OPENLINEAGE__TRANSPORT" not in beside.environment()
