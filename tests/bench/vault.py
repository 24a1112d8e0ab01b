"""How fast licenses are made: whole ones, every one different, sealed by the real signer."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from exchange.database import Role
from exchange.issuance import CALLER, QR_KEY
from license_vault.issue import Place, issue_all
from license_vault.record import Request
from license_vault.signer.client import SignerClient
from schemas.license import Form
from tests.bench.house import House, house
from tests.bench.report import Figure, processor_seconds
from tests.bench.requests import different

LICENSES = 240
WARM_UP = 4
ROUNDS = 3
FORMS = len(Form)


def measure(folder: Path) -> list[Figure]:
    """Reserve, seal, finish, prove: record, page, seal, credential, status slot, log and files."""
    with house(folder) as here:
        here.start_signer()
        requests = different(WARM_UP + ROUNDS * LICENSES)
        _issued(here, requests[:WARM_UP])
        used = processor_seconds()
        starts = range(WARM_UP, len(requests), LICENSES)
        seconds = statistics.median(
            _issued(here, requests[start : start + LICENSES]) for start in starts
        )
        used = processor_seconds() - used
        _check_files(here, len(requests))
    shape = f"{LICENSES} different licenses in one bulk, median of {ROUNDS}"
    return [
        Figure("license_whole_per_s", LICENSES / seconds, "licenses/s", shape),
        Figure(
            "license_per_core_s",
            ROUNDS * LICENSES / used,
            "licenses/s",
            "a second of processor time, of every process together, PostgreSQL's too",
        ),
    ]


def _issued(here: House, requests: list[Request]) -> float:
    settings = here.settings
    signer = SignerClient(settings.signer_socket, CALLER, settings.secret(f"signer-{CALLER}"))
    place = Place(settings.public_url, settings.secret(QR_KEY))

    @contextlib.contextmanager
    def connect() -> Iterator[psycopg.Connection[Any]]:
        with settings.database.connect(Role.VAULT) as conn:
            yield conn

    start = time.perf_counter()
    outcome = issue_all(connect, signer, requests, place)
    seconds = time.perf_counter() - start
    signer.close()
    assert not outcome.not_issued
    assert len(requests) == len({each.id for each in outcome.licenses})
    return seconds


def _check_files(here: House, licenses: int) -> None:
    """Every license has every form, and no two files are the same."""
    with here.settings.database.connect(Role.VAULT) as conn:
        row = conn.execute("SELECT count(*), count(DISTINCT digest) FROM vault.file").fetchone()
    assert (FORMS * licenses, FORMS * licenses) == row
