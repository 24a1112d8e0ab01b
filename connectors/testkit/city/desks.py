"""How each department's table travels: by drop folder, government cloud, exchange platform or API.

    hand_out(folder, day, tables)                   drop folders, each table whole
    fill_cloud(dsn, tables, reader_password=…)      the government cloud's database
    open_platform(folder, tables)                   the provincial exchange's gateway
    load_addresses(dsn, tables, reader_password=…)  beside the police's own register

Parcels and buildings are collections of the land registry's API (`clerk.open_registry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connectors.testkit import gateway
from connectors.testkit.city import cloud, drops, population
from connectors.testkit.city.cloud import Place
from connectors.testkit.city.table import Table


@dataclass(frozen=True)
class Desk:
    """Where a table is put: the department's folder, and how its files are named and written."""

    folder: str
    prefix: str
    ending: str = ".csv"
    encoding: str = "gb18030"

    @property
    def variable(self) -> str:
        """The variable that names the folder."""
        return f"YIZHAN_SOURCE_{self.folder.upper().replace('-', '_')}_FOLDER"


DESKS: Mapping[str, Desk] = {
    "population.birth": Desk("health", "csyxzm"),
    "population.death": Desk("health", "swzm", ".csv.gz", "utf-8"),
    "population.disability": Desk("disabled-persons", "cjrz", ".xlsx"),
    "population.low_income": Desk("civil-affairs", "shjz", encoding="utf-8"),
    "legal_entity.institution": Desk("establishment", "sydw", ".xlsx"),
    "legal_entity.village_collective": Desk("agriculture", "njzz"),
    "space.division": Desk("civil-affairs", "xzqh", ".xlsx"),
    "off_campus_tutoring.license": Desk("education", "bxxk", ".csv.zip"),
    "investment_project.project": Desk("development", "xmxx", ".jsonl", "utf-8"),
    "investment_project.stage": Desk("development", "xmjd", ".jsonl", "utf-8"),
    "investment_project.permit": Desk("development", "xmpf", ".jsonl.gz", "utf-8"),
    "investment_project.joint_survey": Desk("land", "dchy", ".parquet"),
}
"""What comes as files, by dataset."""

CLOUD: Mapping[str, Place] = {
    "population.marriage": Place("mzj", "hydj"),
    "population.social_insurance": Place("rsj", "shbx_cb", cursor="GXSJ"),
    "legal_entity.social_organization": Place("mzj", "shzz"),
    "medical_insurance.enrollment": Place("ybj", "cbdj", cursor="GXSJ"),
    "housing_maintenance_fund.deposit": Place("zjj", "wxzj_sz", cursor="GXSJ"),
}
"""What stands in the government cloud."""

ADDRESSES: Mapping[str, Place] = {"space.address": Place("bzdz", "dzxx")}
"""What stands in the police's database beside the register of residents."""

PLATFORM: Mapping[str, str] = {
    "credit.permit": "s_xzxk",
    "credit.penalty": "s_xzcf",
    "credit.blacklist": "s_yzsx",
    "credit.repair": "s_xyxf",
}
"""What the provincial exchange offers, by its services."""


def hand_out(folder: Path, day: date, tables: Mapping[str, Table]) -> None:
    """Put every table that comes as a file into its department's folder below `folder`."""
    for dataset, desk in DESKS.items():
        rows = tables[dataset].as_rows()
        place = folder / desk.folder
        drops.whole(place, desk.prefix, day, rows, ending=desk.ending, encoding=desk.encoding)


def fill_cloud(dsn: str, tables: Mapping[str, Table], *, reader_password: str) -> str:
    """Fill the cloud's database anew; returns the DSN of its read-only role."""
    return cloud.load(dsn, CLOUD, tables, role=cloud.READER, password=reader_password)


def load_addresses(dsn: str, tables: Mapping[str, Table], *, reader_password: str) -> str:
    """Put the addresses into the police's database; their reader reads them too."""
    return cloud.load(dsn, ADDRESSES, tables, role=population.READER, password=reader_password)


def open_platform(folder: Path, tables: Mapping[str, Table]) -> gateway.Access:
    """Fill the folder that the exchange platform's gateway serves."""
    services = {service: tables[dataset].as_rows() for dataset, service in PLATFORM.items()}
    return gateway.open_gateway(folder, services)


def environment(
    *, drops: Path, cloud_dsn: str, platform_url: str, platform: gateway.Access
) -> dict[str, str]:
    """The variables that the manifests of these tables name."""
    return {
        **{desk.variable: str(drops / desk.folder) for desk in DESKS.values()},
        "YIZHAN_SOURCE_CLOUD_DSN": cloud_dsn,
        "YIZHAN_SOURCE_PLATFORM_URL": platform_url,
        "YIZHAN_SOURCE_PLATFORM_REQUESTER": platform.requester,
        "YIZHAN_SOURCE_PLATFORM_KEY": platform.app_key,
    }
