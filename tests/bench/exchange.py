"""How fast the exchange answers: against pgbench, and against itself without evidence.

The whole call is measured: HTTP, token, DPoP proof, decision, look-up, and an entry in the ledger
that is on disk before the answer leaves. Proofs are signed before the clock starts, because that is
the client's work; each is used once, as the hub insists.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from connectors.client import Client
from exchange import ports, probes, resources
from exchange.postgres import SUPERUSER, binaries
from exchange.supervisor import Service
from schemas.grant import Authority, Form, Grant, Mode
from tests.bench.callers import admitted, request, signed
from tests.bench.house import House, house
from tests.bench.load import Plan, Told, send
from tests.bench.people import FIELDS, fill_library
from tests.bench.report import Figure

PEOPLE = 100_000
ASKED = 100  # different people that are asked about, by hub, bare endpoint and pgbench alike
CONNECTIONS = 16
CALLS = 6_000
WARM_UP = 600
ROUNDS = 3
RESOURCE = "population.resident"
PATH = f"/v1/resources/{RESOURCE}/query"
CLIENT = "bench-bureau"
WHY = Authority("bench", "bench art. 1", "bench-item", "BENCH-1", "clerk:1")


@dataclass(frozen=True)
class Rates:
    """One round: the three, one after the other, so that a busy machine is busy for all."""

    hub: float
    bare: float
    pgbench: float


def measure(folder: Path) -> list[Figure]:
    """Rounds of all three; then the hub alone at half of the rate that it reached."""
    with house(folder) as here:
        with here.owner() as owner:
            asked = fill_library(owner, PEOPLE)[:: PEOPLE // ASKED]
        here.start_signer()
        here.start_hub()
        bare = _start_bare(here)
        client = admitted(here, CLIENT, [_grant()])
        bodies = [_body(number) for number in asked]
        scripts = _scripts(here, folder, asked)
        _ask(here, client, bodies, WARM_UP)
        rounds = [
            Rates(
                _ask(here, client, bodies, CALLS).per_second,
                _ask_bare(bare, bodies, CALLS).per_second,
                _pgbench(here, scripts, CALLS),
            )
            for _ in range(ROUNDS)
        ]
        reached = statistics.median(each.hub for each in rounds)
        calm = _ask(here, client, bodies, CALLS // 2, rate=reached / 2)
    return _figures(rounds, reached, calm)


def _figures(rounds: Sequence[Rates], reached: float, calm: Told) -> list[Figure]:
    bare = statistics.median(each.bare for each in rounds)
    pgbench = statistics.median(each.pgbench for each in rounds)
    shape = f"{CONNECTIONS} connections, median of {ROUNDS}"
    return [
        Figure("query_per_s", reached, "calls/s", shape),
        Figure(
            "query_vs_pgbench",
            statistics.median(each.hub / each.pgbench for each in rounds),
            "ratio",
            f"pgbench, same select and one insert: {pgbench:,.0f} transactions/s; {shape}",
        ),
        Figure(
            "query_vs_bare",
            statistics.median(each.hub / each.bare for each in rounds),
            "ratio",
            f"same endpoint without token, decision and ledger: {bare:,.0f} calls/s; {shape}",
        ),
        Figure(
            "query_p99_ms",
            calm.milliseconds(0.99),
            "ms",
            f"open loop at {reached / 2:,.0f} calls/s, half of the rate reached; "
            f"median {calm.milliseconds(0.5):.1f} ms",
        ),
    ]


def _ask(
    here: House,
    client: Client,
    bodies: Sequence[Any],
    calls: int,
    rate: float | None = None,
) -> Told:
    requests = signed(client, PATH, islice(cycle(bodies), calls))
    return send(Plan(here.hub_port, requests, CONNECTIONS, rate))


def _ask_bare(port: int, bodies: Sequence[Any], calls: int) -> Told:
    requests = [request(PATH, body) for body in islice(cycle(bodies), calls)]
    return send(Plan(port, requests, CONNECTIONS))


def _start_bare(here: House) -> int:
    port = ports.claim(here.settings.home, "bare")
    here.supervisor.start(
        Service(
            "bare",
            [sys.executable, "-m", "tests.bench.bare", str(port)],
            healthy=probes.http(f"http://127.0.0.1:{port}/healthz"),
            environment={
                "YIZHAN_HOME": str(here.settings.home),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )
    )
    return port


def _pgbench(here: House, scripts: Sequence[Path], calls: int) -> float:
    """Transactions per second of the same select and one insert, each durable."""
    files = [word for script in scripts for word in ("-f", str(script))]
    shape = ["-c", str(CONNECTIONS), "-j", "2", "-t", str(calls // CONNECTIONS)]
    port, name = str(here.cluster.port), here.settings.database.name
    address = ["-h", "127.0.0.1", "-p", port, "-U", SUPERUSER, name]
    told = subprocess.run(
        [str(binaries() / "pgbench"), "-n", "-M", "prepared", *shape, *files, *address],
        env={**os.environ, "PGPASSWORD": here.superuser_password},
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(r"^tps = ([0-9.]+)", told.stdout, re.MULTILINE)
    assert found, told.stdout
    return float(found[1])


def _scripts(here: House, folder: Path, asked: Sequence[str]) -> list[Path]:
    """A script for each person: the hub's own select, and a row like those of its ledger."""
    with here.owner() as owner:
        owner.execute("CREATE TABLE hub.bench_entry (LIKE hub.ledger_entry INCLUDING ALL)")
    statement = resources.look_up(RESOURCE, "cn.resident_id", FIELDS, ())
    insert = (
        "INSERT INTO hub.bench_entry (receipt, at, subject, body) VALUES (gen_random_uuid(), now(),"
        f" '\\x{'5a' * 32}', '\\x{'5a' * 640}');"
    )
    scripts = []
    for place, number in enumerate(asked):
        script = folder / f"{place}.sql"
        script.write_text(re.sub(r"\$1(::\w+)?", f"'{number}'", statement.sql) + ";\n" + insert)
        scripts.append(script)
    return scripts


def _body(number: str) -> dict[str, Any]:
    return {
        "subject": {"type": "cn.resident_id", "id": number},
        "fields": list(FIELDS),
        "authority": {
            "purpose": WHY.purpose,
            "basis": WHY.basis,
            "item": WHY.item,
            "case": WHY.case,
            "officer": WHY.officer,
        },
    }


def _grant() -> Grant:
    now = datetime.now(UTC)
    return Grant(
        id="bench",
        client=CLIENT,
        resource=RESOURCE,
        purposes=frozenset({WHY.purpose}),
        bases=frozenset({WHY.basis}),
        items=frozenset({WHY.item}),
        fields=dict.fromkeys(FIELDS, Form.PLAIN),
        modes=frozenset(Mode),
        valid_from=now - timedelta(days=1),
        valid_to=now + timedelta(days=1),
        per_minute=10**9,
        per_day=10**9,
        file_number="bench",
    )
