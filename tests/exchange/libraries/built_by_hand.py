"""What the thematic libraries must hold, worked out in Python from the rows of their parents.

Nothing here is SQL but `SELECT *`, and nothing is taken from the contracts: it is the second
opinion on their builds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

Row = dict[str, Any]
Rows = list[Row]


class Library:
    """The rows of base datasets, read once each."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn

    def __getitem__(self, dataset: str) -> Rows:
        table = Identifier("library", dataset.replace(".", "_"))
        with self._conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(SQL("SELECT * FROM {}").format(table)).fetchall()

    def by(self, dataset: str, column: str) -> dict[Any, Rows]:
        """The rows of each value of a column."""
        found: dict[Any, Rows] = {}
        for row in self[dataset]:
            found.setdefault(row[column], []).append(row)
        return found


def entitlements(library: Library) -> dict[str, Row]:
    """Who is entitled to medical insurance."""
    residents = library.by("population.resident", "resident_id")
    helped = {r["resident_id"] for r in library["population.low_income"] if r["status"] == "1"}
    disabled = library.by("population.disability", "resident_id")
    built = {}
    for number, rows in library.by("medical_insurance.enrollment", "resident_id").items():
        standing = [row for row in rows if row["status"] == "1"]
        chosen = min(standing or rows, key=lambda row: row["scheme"])
        known = residents.get(number, [])
        dead = any(resident["deceased"] for resident in known)
        grades = [row["grade"] for row in disabled.get(number, []) if row["status"] == "1"]
        built[number] = {
            "scheme": chosen["scheme"],
            "status": chosen["status"],
            "entitled": bool(standing) and not dead,
            "paid_to": chosen["paid_to"],
            "known_resident": bool(known),
            "assisted": number in helped,
            "disability_grade": min(grades, default=None),
        }
    return built


def accounts(library: Library) -> dict[str, Row]:
    """What is left in the maintenance fund of each flat."""
    units = {row["unit_no"]: row for row in library["real_estate.unit"]}
    built = {}
    for unit, rows in library.by("housing_maintenance_fund.deposit", "unit_no").items():
        booked = [row for row in rows if row["status"] == "1"]
        if not booked:
            continue
        first = _sum(booked, lambda row: row["kind"] == "1")
        paid_in = _sum(booked, lambda row: row["kind"] in ("1", "2", "5"))
        spent = _sum(booked, lambda row: row["kind"] in ("3", "4"))
        built[unit] = {
            "location": units[unit]["location"] if unit in units else None,
            "first_paid_yuan": first,
            "balance_yuan": paid_in - spent,
            "must_top_up": (paid_in - spent) * 10 < first * 3,
            "last_booked_on": max(row["booked_on"] for row in booked),
        }
    return built


def institutions(library: Library) -> dict[str, Row]:
    """Which tutoring institutions are in good standing."""
    alive = {row["uscc"]: row["status"] for row in library["legal_entity.registration"]}
    repaired = {(r["uscc"], r["penalty_no"]) for r in library["credit.repair"] if r["granted"]}
    penalised = {
        row["uscc"]
        for row in library["credit.penalty"]
        if row["status"] == "0" and (row["uscc"], row["decision_no"]) not in repaired
    }
    listed = {row["uscc"] for row in library["credit.blacklist"] if row["status"] == "1"}
    built = {}
    for code, rows in library.by("off_campus_tutoring.license", "uscc").items():
        valid = [row for row in rows if row["status"] == "1"]
        last = max(row["valid_to"] for row in valid or rows)
        chosen = min(
            (row for row in valid or rows if row["valid_to"] == last),
            key=lambda row: row["license_no"],
        )
        built[code] = {
            "name": chosen["name"],
            "license_no": chosen["license_no"],
            "licenses": len(valid),
            "registration_status": alive.get(code),
            "penalised": code in penalised,
            "blacklisted": code in listed,
            "in_good_standing": bool(valid) and alive.get(code) == "1" and code not in listed,
        }
    return built


def overviews(library: Library) -> dict[str, Row]:
    """How far each project has come."""
    stages = library.by("investment_project.stage", "project_code")
    permits = library.by("investment_project.permit", "project_code")
    surveys = library.by("investment_project.joint_survey", "project_code")
    built = {}
    for project in library["investment_project.project"]:
        code = project["project_code"]
        done = [row["stage"] for row in stages.get(code, []) if row["status"] == "2"]
        given = [row for row in permits.get(code, []) if row["result"] == "1"]
        measured = [row for row in surveys.get(code, []) if row["status"] == "1"]
        built[code] = {
            "owner_uscc": project["owner_uscc"],
            "stage": max((row["stage"] for row in stages.get(code, [])), default=None),
            "stages_finished": len(done),
            "completed": "4" in done,
            "permits": len(given),
            "last_permit_on": max((row["decided_on"] for row in given), default=None),
            "surveyed": bool(measured),
            "floor_area_m2": _area(measured, "1"),
            "green_area_m2": _area(measured, "5"),
        }
    return built


BUILT: Mapping[str, tuple[str, Callable[[Library], dict[str, Row]]]] = {
    "medical_insurance.entitlement": ("resident_id", entitlements),
    "housing_maintenance_fund.account": ("unit_no", accounts),
    "off_campus_tutoring.institution": ("uscc", institutions),
    "investment_project.overview": ("project_code", overviews),
}
"""The key of each thematic dataset that has one row a key, and its second opinion."""


def found(library: Library, dataset: str, wanted: Mapping[str, Row]) -> dict[str, Row]:
    """What the library holds of it, cut down to the columns that were worked out."""
    key, _ = BUILT[dataset]
    columns = list(next(iter(wanted.values())))
    return {row[key]: {column: row[column] for column in columns} for row in library[dataset]}


def _sum(rows: Iterable[Row], counts: Callable[[Row], bool]) -> Decimal:
    return sum((row["amount_yuan"] for row in rows if counts(row)), Decimal(0))


def _area(rows: Rows, kind: str) -> Decimal | None:
    areas = [row["area_m2"] for row in rows if row["kind"] == kind]
    return sum(areas, Decimal(0)) if areas else None
