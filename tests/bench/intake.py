"""How fast a case is resolved: a restaurant, over HTTP, every pull decided and in the ledger."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.client import Client
from connectors.intake.loading import bundle
from exchange.intake import needed_grants
from schemas.grant import Grant
from tests.bench.callers import admitted, signed
from tests.bench.house import House, house
from tests.bench.load import Plan, Told, send
from tests.bench.people import fill_library
from tests.bench.report import Figure

OWNERS = 2_000
CONNECTIONS = 16
CASES = 200
WARM_UP = 40
ROUNDS = 3
PATH = "/v1/resolutions"
CLIENT = "bench-hall"
BUNDLE = "open-restaurant@2026-10"
PURPOSE, BASIS = "open-restaurant", "政务服务"

_OWNERSHIP = """
INSERT INTO library.real_estate_registration_ownership (unit_no, holder_id, holder_id_type,
    holder_name, certificate_no, co_ownership, location, area_m2, use, registered_on, authority,
    authority_name, mortgaged, seized, changed_at, _batch, _since)
SELECT '330784001001GB00001F' || lpad(n::text, 8, '0'), r.resident_id, '111', r.name,
    '浙(2024)永康市不动产权第' || lpad(n::text, 7, '0') || '号', '0', r.residence_address, 120.5,
    '10', '2020-01-02', '11330784MB90003307', '永康市自然资源和规划局', false, false, now(), 1,
    now()
FROM unnest(%s::text[]) WITH ORDINALITY AS owner(id, n)
JOIN library.population_resident r ON r.resident_id = owner.id
"""


def measure(folder: Path) -> list[Figure]:
    """Every case is another person with a shop of their own."""
    with house(folder) as here:
        with here.owner() as owner:
            people = fill_library(owner, OWNERS)
            owner.execute(_OWNERSHIP, (people,))
        here.start_signer()
        here.start_hub()
        client = admitted(here, CLIENT, _grants())
        cases = [_case(place, person) for place, person in enumerate(people, 1)]
        _resolve(here, client, cases[:WARM_UP])
        starts = range(WARM_UP, WARM_UP + ROUNDS * CASES, CASES)
        rounds = [_resolve(here, client, cases[start : start + CASES]) for start in starts]
        pulls = _pulls(here) / (WARM_UP + ROUNDS * CASES)
    shape = f"{CONNECTIONS} at once, {pulls:.1f} pulls a case, median of {ROUNDS}"
    return [
        Figure(
            "resolutions_per_s",
            statistics.median(each.per_second for each in rounds),
            "cases/s",
            shape,
        ),
        Figure(
            "resolution_p95_ms",
            statistics.median(each.milliseconds(0.95) for each in rounds),
            "ms",
            f"as fast as it goes, {shape}",
        ),
    ]


def _resolve(here: House, client: Client, cases: Sequence[dict[str, Any]]) -> Told:
    requests = [
        signed(client, PATH, [case], {"idempotency-key": case["authority"]["case"]})[0]
        for case in cases
    ]
    return send(Plan(here.hub_port, requests, CONNECTIONS))


def _pulls(here: House) -> int:
    """How many questions to the libraries the ledger holds."""
    with here.owner() as owner:
        row = owner.execute(
            "SELECT count(*) FROM hub.ledger_entry WHERE subject IS NOT NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _case(place: int, person: str) -> dict[str, Any]:
    who = {"type": "cn.resident_id", "id": person}
    return {
        "bundle": BUNDLE,
        "subject": {"self": who},
        "authority": {
            "purpose": PURPOSE,
            "basis": BASIS,
            "item": BUNDLE,
            "case": f"BENCH-{place:06d}",
            "officer": "clerk:1",
        },
        "answers": {
            "shareholders": [who],
            "premises": {"unit_no": f"330784001001GB00001F{place:08d}", "tenure": "own"},
            "public_drain": True,
        },
    }


def _grants() -> list[Grant]:
    now = datetime.now(UTC)
    return [
        needed.grant(
            CLIENT,
            purpose=PURPOSE,
            basis=BASIS,
            file_number="bench",
            valid_from=now - timedelta(days=1),
            valid_to=now + timedelta(days=1),
            per_minute=10**9,
            per_day=10**9,
        )
        for needed in needed_grants(bundle(BUNDLE))
    ]
