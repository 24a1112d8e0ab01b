"""Airflow's REST API, as far as this product asks it: what ran, what is paused, which pools are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from schemas.errors import Unavailable


class AirflowApi:
    """The few calls of Airflow's REST API (v2) that the demo and its checks make."""

    def __init__(self, url: str) -> None:
        token = httpx.get(f"{url}/auth/token", timeout=30).json()["access_token"]
        self._client = httpx.Client(
            base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """GET a resource. Raises `Unavailable` for anything but success."""
        return self._answer(self._client.get(path, params=query))

    def dag_ids(self) -> set[str]:
        """The DAGs that the processor has read."""
        return {dag["dag_id"] for dag in self.get("/dags", limit=200)["dags"]}

    def import_errors(self) -> Sequence[Mapping[str, Any]]:
        """Files that did not import."""
        return list(self.get("/importErrors")["import_errors"])

    def trigger(self, dag_id: str) -> str:
        """Start a run now; returns its id."""
        body = json.dumps({"logical_date": None})
        made = self._client.post(
            f"/dags/{dag_id}/dagRuns", content=body, headers={"Content-Type": "application/json"}
        )
        return str(self._answer(made)["dag_run_id"])

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Start no run of a DAG by schedule or asset any more, or let it be started again."""
        self._answer(self._client.patch(f"/dags/{dag_id}", json={"is_paused": paused}))

    def pools(self) -> dict[str, int]:
        """The pools and their sizes."""
        return {pool["name"]: pool["slots"] for pool in self.get("/pools", limit=1000)["pools"]}

    def keep_pools(self, wanted: Mapping[str, int]) -> None:
        """Make the pools that are missing and resize those of another size; none is removed.

        The sweep may be making them at the same time: whoever comes second finds them made.
        """
        known = self.pools()
        for name, slots in wanted.items():
            body = {"name": name, "slots": slots, "include_deferred": False}
            if name not in known:
                made = self._client.post("/pools", json=body)
                if made.status_code != httpx.codes.CONFLICT:
                    self._answer(made)
            elif known[name] != slots:
                path = f"/pools/{quote(name, safe='')}"
                self._answer(self._client.patch(path, json=body))

    def runs(self, dag_id: str) -> Sequence[Mapping[str, Any]]:
        """The runs of a DAG, newest first."""
        return list(self.get(f"/dags/{dag_id}/dagRuns", order_by="-id", limit=100)["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """The task instances of a run, with their process ids and states."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return list(self.get(path)["task_instances"])

    def xcoms(self, dag_id: str, run_id: str, task_id: str) -> Sequence[Mapping[str, Any]]:
        """What a task left for the next."""
        path = (
            f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/xcomEntries"
        )
        return list(self.get(path)["xcom_entries"])

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        if response.is_error:
            raise Unavailable(f"Airflow answered {response.status_code} at {response.url.path}")
        return dict(response.json())
