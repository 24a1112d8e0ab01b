"""Every DAG imports clean, is thin, and says whose it is; two of them run."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.testkit.city import SOURCES, generate, registry
from exchange.database import Role
from exchange.settings import Settings
from tests.dags.conftest import DAGS

EXPECTED = {
    "build__real_estate_registration_ownership",
    "collect__registrations",
    "collect__residents",
    "collect__rights",
    "collect__units",
    "issue",
    "sweep",
}
LONGEST = 80
BUILD = "build__real_estate_registration_ownership"


@pytest.fixture(scope="session")
def bag(airflow_home: Path) -> Any:
    """All DAGs, as the processor reads them."""
    assert airflow_home
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS)


class TestEveryDag:
    def test_imports_clean(self, bag: Any) -> None:
        """No file fails, and no DAG is missing."""
        assert {} == bag.import_errors
        assert EXPECTED == set(bag.dags)

    def test_says_whose_it_is_and_what_for(self, bag: Any) -> None:
        """An owner, tags, a page, and one run at a time without catching up."""
        for dag in bag.dags.values():
            assert "data-engineering" == dag.owner, dag.dag_id
            assert dag.tags, dag.dag_id
            assert len(dag.doc_md) > 100, dag.dag_id
            assert (False, 1) == (dag.catchup, dag.max_active_runs), dag.dag_id

    def test_retries_soon(self, bag: Any) -> None:
        """A source that is down is asked again after seconds."""
        for dag in bag.dags.values():
            for task in dag.tasks:
                assert task.retries >= 3, task.task_id
                assert task.retry_delay.total_seconds() <= 5, task.task_id

    @pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
    def test_is_thin(self, path: Path) -> None:
        """A DAG file holds no logic."""
        assert len(path.read_text("utf-8").splitlines()) < LONGEST


class TestDuty:
    """Whether Airflow tries again is the error's business."""

    def test_unavailable_is_tried_again(self, airflow_home: Path) -> None:
        """The task fails in a way that Airflow retries."""
        from airflow.sdk.exceptions import AirflowException, AirflowFailException

        from dags.duties import duty
        from schemas.errors import Unavailable

        with pytest.raises(AirflowException) as caught, duty():
            raise Unavailable("down")

        assert not isinstance(caught.value, AirflowFailException)

    def test_invalid_fails_at_once(self, airflow_home: Path) -> None:
        """What will stay wrong is not tried again."""
        from airflow.sdk.exceptions import AirflowFailException

        from dags.duties import duty
        from schemas.errors import Invalid

        with pytest.raises(AirflowFailException, match="invalid: wrong"), duty():
            raise Invalid("wrong")

    def test_an_unforeseen_error_keeps_its_words(self, airflow_home: Path) -> None:
        """Its kind and place reach the log, not what it says, for that may be a row."""
        from airflow.sdk.exceptions import AirflowFailException

        from dags.duties import duty

        with pytest.raises(AirflowFailException) as caught, duty():
            raise ValueError("11010519491231002X")

        assert "1101051949" not in str(caught.value)
        assert "ValueError at test_dags.py" in str(caught.value)


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch, airflow_home: Path) -> Settings:
    """The environment of a task, bound to the test's database, with a drop folder to collect."""
    where = settings.database
    (settings.home / "secrets").mkdir(mode=0o700, exist_ok=True)
    for role, password in where.passwords.items():
        (settings.home / "secrets" / f"{role}.password").write_text(password)
    monkeypatch.setenv("YIZHAN_HOME", str(settings.home))
    monkeypatch.setenv("YIZHAN_SOURCES", str(SOURCES))
    monkeypatch.setenv(
        "YIZHAN_DATABASE_URL", f"postgresql://{where.host}:{where.port}/{where.name}"
    )
    return settings


def states(run: Any) -> dict[str, str]:
    return {each.task_id: str(each.state) for each in run.get_task_instances()}


class TestRuns:
    """One session, because the first run of Airflow in a process takes seconds."""

    @pytest.fixture
    def ran(
        self, bag: Any, home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, str]:
        drop = tmp_path / "drop"
        registry.drop_whole(drop, date(2026, 1, 5), generate(seed=7, people=1000).registrations)
        monkeypatch.setenv("YIZHAN_SOURCE_REGISTRATIONS_FOLDER", str(drop))
        return {
            **states(bag.dags["collect__registrations"].test()),
            **{
                f"again {k}": v
                for k, v in states(bag.dags["collect__registrations"].test()).items()
            },
            **states(bag.dags[BUILD].test()),
        }

    def test_collect_then_nothing_new_then_build(self, ran: dict[str, str], home: Settings) -> None:
        """A source is loaded; asked again it is skipped; a build without news succeeds."""
        assert {
            "land": "success",
            "load": "success",
            "again land": "skipped",
            "again load": "skipped",
            "bring_up_to_date": "success",
        } == ran
        with home.database.connect(Role.INGEST) as conn:
            row = conn.execute("SELECT count(*) FROM library.legal_entity_registration").fetchone()
        assert row is not None
        assert row[0] > 50
