"""Schemathesis, a judge from outside, reads our OpenAPI document and calls everything in it.

It must see success on every operation, or it has only knocked at doors, and never a 5xx; and the
same run against a hub with a planted fault must find it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.client import ASSERTION_TYPE, new_key, public_half
from exchange import clients, subjects
from exchange.database import Role
from exchange.demo import chapters
from exchange.demo.clients import (
    FIRST_HOME,
    HALL,
    OWN_LOG,
    RESTAURANT,
    TAX,
    TAX_CHECK,
    WINDOW,
    credentials,
)
from exchange.demo.running import Demo
from exchange.demo.story import Story
from exchange.settings import Settings
from license_vault import store
from schemas.grant import Subject
from schemas.license import Form
from tests.conftest import LONG
from tests.exchange.hubs import AUTHORITY, CLIENT_ID, LI, RESOURCE, RunningHub, running_hub

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = 100 if LONG else 12
PHASES = "examples,coverage,fuzzing,stateful" if LONG else "examples,fuzzing,stateful"
SEED = 20261122
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PDF = "application/pdf"
QUERY = "POST /v1/resources/{code}/query"
Calls = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """What Schemathesis said and what it was answered."""

    status: int
    said: str
    answers: Mapping[str, Counter[int]]

    @property
    def failed(self) -> set[str]:
        """The operations that answered with a 5xx."""
        return {name for name, seen in self.answers.items() if any(code >= 500 for code in seen)}

    @property
    def succeeded(self) -> set[str]:
        """The operations that answered with a 2xx."""
        return {name for name, seen in self.answers.items() if any(c // 100 == 2 for c in seen)}


def fuzzed(url: str, calls: Calls, folder: Path, *more: str) -> Run:
    """Let Schemathesis loose on the hub at `url`; `calls` are what it takes to succeed there."""
    (folder / "calls.json").write_text(json.dumps(calls, ensure_ascii=False))
    answers = folder / "answers"
    words = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--continue-on-failure", "--checks", ",".join(CHECKS), "--no-shrink", "--no-color"),
        *("--phases", PHASES, "--max-examples", str(EXAMPLES), "--seed", str(SEED)),
        *("--generation-database", "none", *more),
    ]
    environment = {
        "SCHEMATHESIS_HOOKS": "tests.verification.calling",
        "YIZHAN_CALLS": str(folder / "calls.json"),
        "YIZHAN_ANSWERS": str(answers),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        words, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    return Run(done.returncode, done.stdout + done.stderr, dict(_counted(answers)))


def _counted(answers: Path) -> Iterator[tuple[str, Counter[int]]]:
    lines = answers.read_text().splitlines() if answers.exists() else []
    pairs = [line.split(" ", 1) for line in lines]
    for name in {name for _, name in pairs}:
        yield name, Counter(int(status) for status, seen in pairs if seen == name)


@pytest.fixture(scope="module")
def calls(demo: Demo, told: Story, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """For each operation that needs something real, a call that has it."""
    sealed = tmp_path_factory.mktemp("sealed") / "license.pdf"
    sealed.write_bytes(_license(demo))
    return {
        **_asking(demo),
        **_intake(demo),
        "POST /v1/token": {
            "client": _path(demo, TAX),
            "media_type": FORM,
            "body": {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": "a fresh one for each call",
            },
        },
        "POST /v1/client/keys": {
            "client": _path(demo, WINDOW),
            "media_type": JSON,
            "body": {"jwk": public_half(new_key()), "proof": "a fresh one for each call"},
        },
        "POST /v1/verifications": {
            "media_type": PDF,
            "body": "a sealed license",
            "file": str(sealed),
        },
        "GET /status/{number}": {"parameters": {"number": 1}},
        "GET /log/tile/{path}": {"parameters": {"path": "0/000.p/1"}},
    }


def _asking(demo: Demo) -> Calls:
    cast = demo.departments.truth.cast
    why = asdict(TAX_CHECK)
    owner = {"type": chapters.PERSON, "id": cast.owner.resident_id}
    query = {"subject": owner, "fields": ["location", "holder_name"], "authority": why}
    claims = {"holder_id": cast.owner.resident_id, "mortgaged": False}
    unit = {"type": "cn.real_estate_unit", "id": cast.unit_no}
    with chapters.client(demo, TAX) as tax:
        asked = tax.query(chapters.OWNERSHIP, Subject(**owner), ["location"], TAX_CHECK)
    tax_asks = {"client": _path(demo, TAX), "media_type": JSON}
    code = {"parameters": {"code": chapters.OWNERSHIP}}
    return {
        QUERY: {**tax_asks, **code, "body": query},
        "POST /v1/resources/{code}/verify": {
            **tax_asks,
            **code,
            "body": {"subject": unit, "claims": claims, "authority": why},
        },
        "POST /v1/resources/{code}/predicate": {
            **tax_asks,
            **code,
            "body": {"subject": owner, "predicates": [FIRST_HOME], "authority": why},
        },
        "POST /v1/subjects/accesses": {
            "client": _path(demo, WINDOW),
            "media_type": JSON,
            "body": {"subject": owner, "authority": asdict(OWN_LOG)},
        },
        "GET /v1/ledger/receipts/{receipt}/proof": {"parameters": {"receipt": asked["receipt"]}},
    }


def _intake(demo: Demo) -> Calls:
    cast = demo.departments.truth.cast
    made = chapters.resolve(
        demo, cast.owner, cast.owner_entity, cast.unit_no, case="WIN-2026-000818"
    )
    hall = {"client": _path(demo, HALL)}
    subject = {
        "self": {"type": chapters.PERSON, "id": cast.owner.resident_id},
        "entity": {"type": "cn.uscc", "id": cast.owner_entity},
    }
    case = {
        "bundle": RESTAURANT.item,
        "subject": subject,
        "authority": asdict(RESTAURANT),
        "answers": {"premises": {"unit_no": cast.unit_no, "tenure": "own"}},
    }
    return {
        "POST /v1/resolutions": {
            **hall,
            "media_type": JSON,
            "parameters": {"Idempotency-Key": "WIN-2026-000819-1"},
            "body": case,
        },
        "GET /v1/resolutions/{resolution}": {**hall, "parameters": {"resolution": made["id"]}},
    }


def _license(demo: Demo) -> bytes:
    with demo.settings.database.connect(Role.VAULT) as vault:
        row = vault.execute("SELECT id FROM vault.license WHERE status = 'valid'").fetchone()
        assert row is not None
        return store.file(vault, row[0], Form.PDF)


def _path(demo: Demo, client: str) -> str:
    return str(credentials(demo.settings.home, client))


class TestOperations:
    @pytest.mark.long
    @pytest.mark.timeout(1200 if LONG else 300)
    def test_each_succeeds_and_none_fails(self, demo: Demo, calls: Calls, tmp_path: Path) -> None:
        """A 2xx on every operation, a 5xx on none, whatever Schemathesis makes up."""
        url = demo.settings.public_url
        document = httpx.get(f"{url}/openapi.json", timeout=60).json()
        operations = {
            f"{method.upper()} {path}"
            for path, methods in document["paths"].items()
            for method in methods
        }

        run = fuzzed(url, calls, tmp_path)

        assert set() == run.failed, run.said
        assert operations == run.succeeded, run.said
        assert 0 == run.status, run.said


class TestPlantedFault:
    def test_it_is_found(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A fault behind token and proof, that only a call which may be answered can reach."""
        with running_hub(settings) as hub:
            calls = {QUERY: _planted_call(hub, tmp_path)}
            monkeypatch.setattr(subjects, "normalised", _planted)

            run = fuzzed(hub.url, calls, tmp_path, "--include-path", "/v1/resources/{code}/query")

        assert {QUERY} == run.failed
        assert 1 == run.status
        assert "Server error" in run.said


def _planted(_subject: Subject) -> Subject:
    raise RuntimeError("planted")


def _planted_call(hub: RunningHub, folder: Path) -> dict[str, Any]:
    key, path = new_key(), folder / "client.json"
    with hub.owner() as conn:
        clients.register(conn, CLIENT_ID, "住建局", public_half(key))
    hub.give()
    path.write_text(json.dumps({"base_url": hub.url, "client_id": CLIENT_ID, "private_jwk": key}))
    return {
        "client": str(path),
        "media_type": JSON,
        "parameters": {"code": RESOURCE},
        "body": {
            "subject": {"type": LI.type, "id": LI.id},
            "fields": ["name"],
            "authority": asdict(AUTHORITY),
        },
    }
