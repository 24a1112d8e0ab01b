"""Airflow's parts as services, and its REST API. Airflow itself is never imported here.

The settings are those that were needed on two cores: four workers instead of thirty-two, short
timeouts so that a killed task is found in half a minute, every port named (the log server takes
8793 whatever else is set).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from connectors.feeds.manifest import load_manifest
from exchange import ports, probes
from exchange.airflow_api import AirflowApi
from exchange.roles import AIRFLOW
from exchange.settings import AIRFLOW_DATABASE, Settings, remembered_ports
from exchange.supervisor import Service, log_of, tail
from schemas.errors import Invalid, Unavailable

__all__ = ["Airflow", "AirflowApi", "keep_pools", "pools"]

# Tasks are forked from the scheduler's workers, and DAG files are read in forks of the processor:
# what the parent has imported, no child imports again. Measured on two cores, it is most of what a
# short task, or the reading of a DAG file, costs.
PRELOAD = """import sys

if "scheduler" in sys.argv:
    import exchange.issuance
    import exchange.libraries.journey
    import exchange.libraries.leftovers
    import exchange.libraries.lineage
    import connectors.feeds.manifest
    from schemas.contract import all_contracts

    all_contracts()
if "triggerer" in sys.argv:
    import exchange.libraries.news
if "dag-processor" in sys.argv:
    import airflow.sdk
    import connectors.feeds.manifest
    from schemas.contract import all_contracts

    all_contracts()
"""
DAGS = Path(__file__).parent.parent / "dags"
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
PORTS = ("airflow", "airflow-logs", "airflow-trigger-logs")
WORKERS = 3
LINEAGE = ("OPENLINEAGE_", "AIRFLOW__OPENLINEAGE__TRANSPORT", "AIRFLOW__OPENLINEAGE__CONFIG")
# What a task reads and writes is told by `exchange.libraries.lineage`, from the contract; Airflow
# adds who ran it when. Runs every minute that usually find nothing are not worth a megabyte a day.
LINEAGE_POLICY = (
    {"scope": {}, "controls": {"extract_operator_metadata": False}},
    {
        "scope": {"dag_id": "sweep|alerts"},
        "match_mode": "regex",
        "controls": {"emit": False},
    },
)
SYSTEM = "system:"  # what the pools of departments' systems are called, before the system


@dataclass(frozen=True)
class Airflow:
    """One Airflow beside one home: its environment, its parts and its API's address."""

    settings: Settings
    api_port: int
    log_port: int
    trigger_log_port: int
    extra: Mapping[str, str]

    @classmethod
    def beside(cls, settings: Settings, extra: Mapping[str, str]) -> Airflow:
        """Airflow for this home; `extra` is what the DAGs' tasks need in their environment."""
        api, logs, triggers = (ports.claim(settings.home, name) for name in PORTS)
        return cls(settings, api, logs, triggers, extra)

    @classmethod
    def found(cls, settings: Settings) -> Airflow:
        """The Airflow that runs beside this home already, at its remembered ports."""
        known = remembered_ports(settings.home)
        api, logs, triggers = (known[name] for name in PORTS)
        return cls(settings, api, logs, triggers, {})

    @property
    def url(self) -> str:
        """The address of the web pages and of the API."""
        return f"http://127.0.0.1:{self.api_port}"

    def environment(self) -> dict[str, str]:
        """The environment of every part, and so of every task."""
        return {
            **self.extra,
            "YIZHAN_HOME": str(self.settings.home),
            "YIZHAN_SOURCES": str(self.settings.sources),
            "AIRFLOW_HOME": str(self.settings.home / "airflow"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self._metadata_url(),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "dags.executor.MortalExecutor",
            "AIRFLOW__CORE__PARALLELISM": str(WORKERS),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Shanghai",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": self._key("airflow.fernet"),
            # Loopback only: whoever reaches this port is this machine's user.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.api_port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._key("airflow.session"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self._key("airflow.jwt") * 2,
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.log_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.trigger_log_port),
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **self._lineage(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }

    def _lineage(self) -> dict[str, str]:
        """Where Airflow's own OpenLineage events go: a file, unless the operator names a place."""
        told = {
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "yizhan",
            "AIRFLOW__OPENLINEAGE__EMISSION_POLICY": json.dumps(LINEAGE_POLICY),
        }
        if any(name.startswith(LINEAGE) for name in os.environ):
            return told
        folder = self.settings.home / "lineage"
        folder.mkdir(mode=0o700, exist_ok=True)
        transport = {
            "type": "file",
            "log_file_path": str(folder / "airflow.jsonl"),
            "append": True,
        }
        return {**told, "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}

    def migrate(self) -> None:
        """Bring Airflow's own database up to date. Raises `Unavailable` with what it said."""
        log = log_of(self.settings.home, "airflow-migrate")
        config = self.settings.home / "airflow" / "config"
        config.mkdir(parents=True, exist_ok=True, mode=0o700)
        (config / "airflow_local_settings.py").write_text(PRELOAD)
        with log.open("ab") as out:
            done = subprocess.run(  # noqa: S603 - our own command
                [*_airflow(), "db", "migrate"],
                env={**os.environ, **self.environment()},
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise Unavailable(f"Airflow's database did not migrate. The end of {log}:\n{tail(log)}")

    def services(self) -> list[Service]:
        """Airflow's four parts, in the order they are started."""
        return [
            Service(
                f"airflow-{part}",
                [*_airflow(), part],
                healthy=probes.http(f"{self.url}/api/v2/version")
                if part == "api-server"
                else self._component(part.replace("-", "_")),
                environment=self.environment(),
                patience=120,
            )
            for part in PARTS
        ]

    def api(self) -> AirflowApi:
        """A client of the REST API with a token of its own."""
        return AirflowApi(self.url)

    def keep_pools(self) -> None:
        """A pool for each department's system, as large as its sources allow; needs the API.

        Raises `Unavailable` when Airflow does not answer.
        """
        self.api().keep_pools(pools(self.settings))

    def _component(self, name: str) -> Any:
        client = probes.asker()

        def healthy() -> bool:
            told = client.get(f"{self.url}/api/v2/monitor/health").json()
            return bool(told[name]["status"] == "healthy")

        return healthy

    def _metadata_url(self) -> str:
        database = self.settings.database
        password = quote(database.passwords[AIRFLOW], safe="")
        place = f"{database.host}:{database.port}/{AIRFLOW_DATABASE}"
        return f"postgresql+psycopg://{AIRFLOW}:{password}@{place}"

    def _key(self, name: str) -> str:
        return base64.urlsafe_b64encode(self.settings.secret(name)).decode()


def pools(settings: Settings) -> dict[str, int]:
    """The pool of each department's system; a manifest that cannot be read asks for none."""
    wanted = dict[str, int]()
    for path in sorted(settings.sources.glob("*.yaml")):
        with contextlib.suppress(Invalid):
            manifest = load_manifest(path)
            name = f"{SYSTEM}{manifest.system or manifest.source}"
            wanted[name] = max(manifest.pool, wanted.get(name, 0))
    return wanted


def keep_pools(settings: Settings) -> None:
    """Pools for manifests that came since the start; where Airflow is not ours, nothing.

    When Airflow does not answer the next sweep asks again.
    """
    if PORTS[0] in remembered_ports(settings.home):
        with contextlib.suppress(Unavailable, httpx.HTTPError):
            Airflow.found(settings).keep_pools()


def _airflow() -> list[str]:
    return [sys.executable, "-m", "airflow"]
