"""The 46 channels of a city: what comes through each, how many rows of it, and how it is delivered.

The packaged contracts are most of them. The others are an installation's own (`write_contracts`),
as a city has them: registers of people, bodies and houses that nobody foresaw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

Delivery = Literal["table", "csv", "parquet"]
AUTHORITY = {"code": "11330784MB90003307", "name": "永康市大数据发展管理局"}


@dataclass(frozen=True)
class Channel:
    """One source of one dataset, with its rows in the whole city."""

    dataset: str
    rows: int
    delivery: Delivery = "table"

    @property
    def source(self) -> str:
        """The name of the source."""
        return self.dataset.replace(".", "-").replace("_", "-")

    @property
    def name(self) -> str:
        """The name of what the department keeps it in."""
        return self.dataset.replace(".", "_")


# First what the others refer to, as whoever sets a city up would have it.
REGISTERS = (
    Channel("population.resident", 5_200_000),
    Channel("legal_entity.registration", 540_000),
    Channel("space.division", 5_300, "csv"),
    Channel("space.parcel", 410_000, "parquet"),
    Channel("real_estate.unit", 1_900_000),
    Channel("investment_project.project", 38_000),
    Channel("credit.penalty", 380_000),
    Channel("credit.blacklist", 24_000, "csv"),
)
PACKAGED = (
    *REGISTERS,
    Channel("population.social_insurance", 4_600_000),
    Channel("medical_insurance.enrollment", 4_300_000),
    Channel("real_estate.right", 2_600_000),
    Channel("space.address", 2_300_000),
    Channel("population.marriage", 1_400_000),
    Channel("housing_maintenance_fund.deposit", 1_250_000),
    Channel("credit.permit", 930_000),
    Channel("space.building", 760_000, "parquet"),
    Channel("population.birth", 620_000, "csv"),
    Channel("population.death", 310_000, "csv"),
    Channel("investment_project.permit", 210_000),
    Channel("investment_project.stage", 152_000),
    Channel("population.disability", 118_000),
    Channel("population.low_income", 96_000, "csv"),
    Channel("investment_project.joint_survey", 47_000),
    Channel("credit.repair", 17_000, "csv"),
    Channel("legal_entity.social_organization", 6_800, "csv"),
    Channel("legal_entity.village_collective", 4_600),
    Channel("legal_entity.institution", 4_200, "csv"),
    Channel("off_campus_tutoring.license", 1_900, "csv"),
)
OWN = (
    Channel("health.vaccination", 2_500_000, "parquet"),
    Channel("transport.violation", 2_100_000, "parquet"),
    Channel("health.record", 1_800_000),
    Channel("transport.driving_license", 1_600_000),
    Channel("transport.vehicle", 1_400_000),
    Channel("labour.contract", 1_150_000),
    Channel("housing_fund.account", 980_000),
    Channel("utilities.water_customer", 720_000, "csv"),
    Channel("utilities.gas_customer", 410_000, "csv"),
    Channel("education.student", 330_000),
    Channel("housing_fund.loan", 190_000),
    Channel("labour.training", 120_000, "csv"),
    Channel("civil_affairs.elderly_allowance", 78_000, "csv"),
    Channel("education.teacher", 28_000),
    Channel("civil_affairs.cremation", 36_000, "csv"),
    Channel("market.food_license", 8_500),
    Channel("safety.fire_inspection", 3_000, "csv"),
    Channel("culture.site", 1_700, "csv"),
)
CHANNELS = (*PACKAGED, *OWN)
_OF_BODIES = {"market.food_license", "safety.fire_inspection", "culture.site", "education.teacher"}
_OF_UNITS = {"utilities.water_customer", "utilities.gas_customer"}


def write_contracts(folder: Path) -> None:
    """Put the contracts that are not packaged where an installation keeps its own."""
    for channel in OWN:
        library, name = channel.dataset.split(".")
        path = folder / library / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(_contract(channel), allow_unicode=True), "utf-8")


def _contract(channel: Channel) -> Mapping[str, Any]:
    library, name = channel.dataset.split(".")
    subject, fields = _subject(channel)
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": channel.dataset,
        "name": name,
        "version": "1.0.0",
        "status": "active",
        "domain": library,
        "description": {
            "purpose": f"what the city keeps of each {name}",
            "limitations": "of a rehearsal",
        },
        "team": {"name": AUTHORITY["name"]},
        "slaProperties": [
            {"property": "freshness", "value": 86400, "unit": "s", "element": f"{name}.changed_at"},
        ],
        "customProperties": _properties(
            kind="base", cardinality="many", sourceAuthority=AUTHORITY, subjects=subject
        ),
        "schema": [
            {
                "name": name,
                "businessName": f"{channel.dataset}登记信息",
                "logicalType": "object",
                "physicalType": "table",
                "properties": fields,
                "quality": [_RULE],
            }
        ],
    }


def _subject(channel: Channel) -> tuple[Mapping[str, str], list[Mapping[str, Any]]]:
    """Whom the rows speak of, and the twelve fields that they have."""
    if channel.dataset in _OF_BODIES:
        number = _number("uscc", "uscc", "legal_entity.registration", 18)
        return {"cn.uscc": "uscc"}, _fields(number)
    if channel.dataset in _OF_UNITS:
        number = _number("unit_no", "real_estate_unit", "real_estate.unit", 28)
        return {"cn.real_estate_unit": "unit_no"}, _fields(number)
    number = _number("resident_id", "resident", "population.resident", 18)
    return {"cn.resident_id": "resident_id"}, _fields(number)


def _fields(number: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        _field("record_no", "string", "text", primaryKey=True, primaryKeyPosition=1),
        number,
        _field("holder_name", "string", "text", required=False),
        _field("division", "string", "text", {"codeList": "divisions"}, required=False),
        _field("address", "string", "text", required=False),
        _field("amount_yuan", "number", "numeric(18,2)", required=False),
        _field("times", "integer", "bigint", required=False),
        _field("opened_on", "date", "date"),
        _field("valid_to", "date", "date", required=False),
        _field("in_force", "boolean", "boolean"),
        _field("agency_name", "string", "text", required=False),
        _field("changed_at", "timestamp", "timestamptz"),
    ]


def _number(name: str, kind: str, dataset: str, length: int) -> Mapping[str, Any]:
    target = {"dataset": dataset, "column": name}
    added = {"identifier": kind, "references": target}
    options = {"minLength": length, "maxLength": length}
    return {**_field(name, "string", "text", added), "logicalTypeOptions": options}


def _field(
    name: str,
    logical: str,
    physical: str,
    added: Mapping[str, Any] = {},
    *,
    required: bool = True,
    **said: Any,
) -> Mapping[str, Any]:
    return {
        "name": name,
        "businessName": name,
        "logicalType": logical,
        "physicalType": physical,
        "required": required,
        "classification": "S2",
        "customProperties": _properties(
            shortName=name.upper(), shareClass="unconditional", **added
        ),
        **said,
    }


def _properties(**said: Any) -> list[Mapping[str, Any]]:
    return [{"property": name, "value": value} for name, value in said.items()]


_RULE = {
    "name": "ends-after-it-began",
    "description": "nothing ends before it began",
    "dimension": "consistency",
    "severity": "error",
    "type": "custom",
    "engine": "polars-sql",
    "implementation": "valid_to IS NULL OR valid_to >= opened_on",
}
