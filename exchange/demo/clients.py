"""The demo's client systems: a service hall, the tax office, and the citizens' window.

Each gets a key pair, a registration and grants; its credentials are written where a person can try
them: `<home>/clients/<name>.json`, readable by the owner only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from connectors.client_keys import new_key, public_half, write
from connectors.intake.loading import bundle
from exchange import clients, grants
from exchange.answering import ACCESSES
from exchange.database import Role
from exchange.intake import needed_grants
from exchange.keyring import hub_keys
from exchange.settings import Settings
from schemas.grant import Authority, Form, Grant, Mode

HALL = "hall"
TAX = "tax"
WINDOW = "citizen-window"
NAMES = {HALL: "政务服务中心综窗系统", TAX: "税务局征管系统", WINDOW: "市民个人数据窗口"}

TAX_CHECK = Authority(
    purpose="deed-tax",
    basis="契税法 art. 13",
    item="deed-tax-return",
    case="TAX-2026-000118",
    officer="clerk:2207",
)
RESTAURANT = Authority(
    purpose="open-restaurant",
    basis="国务院令 716 art. 7",
    item="open-restaurant@2026-10",
    case="WIN-2026-000817",
    officer="clerk:0421",
)
FIRST_HOME = "owns_no_home_in(330784)"
OWN_LOG = Authority(
    purpose="own-access-log",
    basis="个人信息保护法 art. 45",
    item="access-log",
    case="WIN-2026-000031",
    officer="clerk:0107",
)


@dataclass(frozen=True)
class Allowance:
    """What a client may ask of one resource."""

    client: str
    resource: str
    fields: dict[str, Form]
    modes: frozenset[Mode]
    purposes: frozenset[str]
    bases: frozenset[str]
    items: frozenset[str]


def introduce(settings: Settings) -> None:
    """Register every client of the demo and give it its grants; again changes nothing."""
    with settings.database.connect(Role.OWNER) as owner:
        for name in NAMES:
            if not credentials(settings.home, name).exists():
                _register(settings, owner, name)
        owner.commit()


def credentials(home: Path, name: str) -> Path:
    """The file that `yizhan call --client` reads."""
    return home / "clients" / f"{name}.json"


def _register(settings: Settings, owner: psycopg.Connection, name: str) -> None:
    key = new_key()
    clients.register(owner, name, NAMES[name], public_half(key))
    for number, allowance in enumerate(a for a in _allowances() if a.client == name):
        grants.give(owner, _grant(allowance, f"{name}-{number + 1}"))
    path = credentials(settings.home, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write(path, settings.public_url, name, key, hub_keys(settings))


def _allowances() -> Iterable[Allowance]:
    tax = Allowance(
        client=TAX,
        resource="real_estate_registration.ownership",
        fields={
            "unit_no": Form.PLAIN,
            "area_m2": Form.PLAIN,
            "location": Form.PLAIN,
            "holder_name": Form.MASKED,
            "certificate_no": Form.PLAIN,
            "mortgaged": Form.PLAIN,
            "holder_id": Form.COMPARE,
            FIRST_HOME: Form.PREDICATE,
        },
        modes=frozenset({Mode.QUERY, Mode.VERIFY, Mode.PREDICATE}),
        purposes=frozenset({TAX_CHECK.purpose}),
        bases=frozenset({TAX_CHECK.basis}),
        items=frozenset({TAX_CHECK.item}),
    )
    yield tax
    yield Allowance(
        client=TAX,
        resource="population.resident",
        fields={
            "name": Form.MASKED,
            "sex": Form.PLAIN,
            "household_division": Form.PLAIN,
            "birth_date": Form.COMPARE,
            "resident_id": Form.COMPARE,
        },
        modes=tax.modes,
        purposes=tax.purposes,
        bases=tax.bases,
        items=tax.items,
    )
    for needed in needed_grants(bundle(RESTAURANT.item)):
        yield Allowance(
            client=HALL,
            resource=needed.resource,
            fields=dict.fromkeys(needed.fields, Form.PLAIN),
            modes=frozenset({Mode.QUERY}),
            purposes=frozenset({RESTAURANT.purpose}),
            bases=frozenset({RESTAURANT.basis}),
            items=frozenset({needed.item}),
        )
    yield Allowance(
        client=WINDOW,
        resource=ACCESSES,
        fields={"accesses": Form.PLAIN},
        modes=frozenset({Mode.QUERY}),
        purposes=frozenset({OWN_LOG.purpose}),
        bases=frozenset({OWN_LOG.basis}),
        items=frozenset({OWN_LOG.item}),
    )


def _grant(allowance: Allowance, number: str) -> Grant:
    now = datetime.now(UTC)
    return Grant(
        id=f"grant-{number}",
        client=allowance.client,
        resource=allowance.resource,
        purposes=allowance.purposes,
        bases=allowance.bases,
        items=allowance.items,
        fields=allowance.fields,
        modes=allowance.modes,
        valid_from=now - timedelta(minutes=1),
        valid_to=now + timedelta(days=365),
        per_minute=100_000,
        per_day=10_000_000,
        file_number=f"数据共享〔2026〕{number}",
    )
