"""A city's registers for tests: who holds what, and a port that answers from it.

`table()` holds everything that the published equivalence table resolves, the sources that no real
department offers yet included; `real()` is what the live sources can hold.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from connectors.intake.asking import Found, NoRecord, Outcome
from connectors.intake.bundle import Bundle
from connectors.intake.case import read_request
from connectors.intake.loading import bundle
from connectors.intake.resolve import Resolution, resolve
from schemas.grant import Subject
from schemas.identifiers import org_code_check, resident_check, uscc_check

BUNDLE = bundle("open-restaurant@2026-10")
AT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
POPULATION, REGISTER = "population.resident", "legal_entity.registration"
HOLDING, OWNERSHIP = "license.holding", "real_estate_registration.ownership"
LEASE, ARCHIVE = "housing.lease", "building.archive"
MANY = frozenset({HOLDING, OWNERSHIP})

Record = Mapping[str, Any]
Key = tuple[str, Subject]


def a_resident(first_17: str) -> Subject:
    """A person with a valid number."""
    return Subject("cn.resident_id", first_17 + resident_check(first_17))


def an_entity(first_8: str) -> Subject:
    """An entity with a valid code."""
    body = "91110105" + first_8 + org_code_check(first_8)
    return Subject("cn.uscc", body + uscc_check(body))


OWNER = a_resident("11010519900307123")
STRANGER = a_resident("11010519851212456")
PARTNER = a_resident("11010519880808233")
AGENT = a_resident("11010519950505321")
COMPANY = an_entity("MA00ABCD")
INVESTOR = an_entity("MA00WXY9")
UNIT = Subject("cn.real_estate_unit", "110105001001GB00001F00010001")
OTHER_UNIT = Subject("cn.real_estate_unit", "110105001001GB00001F00010002")


@dataclass(frozen=True)
class Holdings:
    """What the sources hold; `instead` answers for a resource that is down or refuses."""

    records: Mapping[Key, tuple[Record, ...]] = field(default_factory=dict)
    instead: Mapping[str, Outcome] = field(default_factory=dict)
    asked: list[tuple[str, Subject, tuple[str, ...]]] = field(default_factory=list)

    def plus(self, resource: str, subject: Subject, record: Record) -> Holdings:
        """One record more."""
        key = (resource, subject)
        return replace(self, records={**self.records, key: (*self.records.get(key, ()), record)})

    def less(self, resource: str, subject: Subject, record: Record) -> Holdings:
        """One record less."""
        key = (resource, subject)
        left = tuple(held for held in self.records[key] if held != record)
        return replace(self, records={**self.records, key: left}, asked=[])

    def each(self) -> list[tuple[str, Subject, Record]]:
        """Every single record."""
        return [(*key, record) for key, records in self.records.items() for record in records]

    async def ask(self, resource: str, subject: Subject, fields: tuple[str, ...]) -> Outcome:
        """The port."""
        self.asked.append((resource, subject, fields))
        await asyncio.sleep(0)
        if resource in self.instead:
            return self.instead[resource]
        records = self.records.get((resource, subject), ())
        if not records:
            return NoRecord(resource)
        values: dict[str, Any] = {name: [held[name] for held in records] for name in fields}
        if resource not in MANY:
            values = {name: column[0] for name, column in values.items()}
        return Found(values, resource, AT)


def person(name: str, who: Subject, **changes: Any) -> Record:
    """A record of the population register."""
    return {
        "resident_id": who.id,
        "name": name,
        "deceased": False,
        "household_address": "示范市朝阳街1号",
        "phone": "138 0000 0000",
        **changes,
    }


def entity(name: str, who: Subject, **changes: Any) -> Record:
    """A record of the register of entities."""
    return {
        "uscc": who.id,
        "name": name,
        "entity_type": "有限责任公司",
        "status": "1",
        "registered_capital": "500000.00",
        "business_scope": "餐饮服务",
        "address": "示范市朝阳街1号",
        "legal_representative": "张三",
        "representative_id": OWNER.id,
        **changes,
    }


def a_license(kind: str, serial: str, **changes: Any) -> Record:
    """A license as the vault's view shows it; a certificate's face names its unit."""
    return {
        "license_id": f"license-{serial}",
        "type_code": BUNDLE.licenses[kind].code,
        "status": "valid",
        "valid_from": "2020-01-01",
        "valid_to": None,
        "holder_name": "示范餐饮有限公司",
        "face": {"unit_no": UNIT.id},
        **changes,
    }


def owned(by: Subject, **changes: Any) -> Record:
    """A row of who owns a unit."""
    return {
        "unit_no": UNIT.id,
        "holder_id": by.id,
        "holder_name": "张三",
        "co_ownership": "0",
        "certificate_no": "示（2020）示范市不动产权第0000001号",
        "location": "示范市朝阳街1号101室",
        "use": "商业服务",
        "area_m2": "120.50",
        **changes,
    }


def real(*, leased: bool = False) -> Holdings:
    """What the live sources hold of a person who owns (or leases) the premises."""
    landlord = STRANGER if leased else OWNER
    held = Holdings().plus(POPULATION, OWNER, person("张三", OWNER))
    held = held.plus(POPULATION, AGENT, person("李四", AGENT))
    held = held.plus(OWNERSHIP, UNIT, owned(landlord))
    return held.plus(HOLDING, landlord, a_license("real-estate-certificate", "1"))


def table() -> Holdings:
    """Everything that the published table resolves, on own premises."""
    return real().plus(ARCHIVE, UNIT, {"drainage_completion": "1"})


def with_planned(template: Bundle = BUNDLE) -> Bundle:
    """The bundle as if every planned source were connected."""
    live = tuple(source.model_copy(update={"state": "live"}) for source in template.sources)
    parts = {name: getattr(template, name) for name in Bundle.model_fields}
    return Bundle(**{**parts, "sources": live})


def who(subject: Subject, name: str | None = None) -> dict[str, Any]:
    """A party of a request."""
    return {"type": subject.type, "id": subject.id} | ({"name": name} if name else {})


def a_request(*, tenure: str | None = "own", agent: bool = False, **answers: Any) -> dict[str, Any]:
    """A company to be registered by the owner, who is its only shareholder."""
    subject: dict[str, Any] = {"self": who(OWNER, "张三")}
    if agent:
        subject["agent"] = who(AGENT)
    premises = {"unit_no": UNIT.id, "tenure": tenure, "floor_area_m2": 180}
    return {
        "bundle": BUNDLE.id,
        "subject": subject,
        "authority": {
            "purpose": "open-restaurant",
            "basis": "政务服务",
            "item": BUNDLE.id,
            "case": "WIN03-000817",
            "officer": "clerk:0421",
        },
        "answers": {
            "premises": premises,
            "shareholders": [who(OWNER)],
            "public_drain": True,
            **answers,
        },
    }


def resolved(
    request: Mapping[str, Any], holdings: Holdings, template: Bundle = BUNDLE, at: datetime = AT
) -> Resolution:
    """Resolve a request against holdings."""
    body = read_request(json.dumps(request).encode())
    return asyncio.run(resolve(template, body, holdings.ask, at))


def standing(made: Resolution) -> dict[str, tuple[str, str]]:
    """Status and reason by material."""
    return {one.wanted.id: (one.status.value, one.why.value) for one in made.materials}
