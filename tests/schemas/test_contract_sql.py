"""The SQL of contracts, run by PostgreSQL: the build of ownership and the view of holdings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from exchange.database import Database, Role
from schemas.contract import load

UNIT = "330784001001GB00001F00010001"
ZHANG, LI = "11010519491231002X", "440524188001010014"
BANK, COURT = "91350100M000100Y43", "11100000000013338W"
MORNING = datetime(2026, 1, 1, 8, tzinfo=UTC)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

Enter = Callable[..., None]


def _insert(connection: psycopg.Connection, table: str, row: dict[str, Any]) -> None:
    row = {"_batch": 1, "_since": MORNING, **row}
    names, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    connection.execute(f"INSERT INTO library.{table} ({names}) VALUES ({places})".encode(), row)


@pytest.fixture
def register(database: Database) -> Any:
    """A register with one unit in it."""
    with database.connect(Role.OWNER) as connection:
        unit = {"unit_no": UNIT, "location": "胜利街1号", "area_m2": 89.5, "use": "11"}
        _insert(connection, "real_estate_unit", {**unit, "changed_at": MORNING})
        yield connection
        connection.rollback()


@pytest.fixture
def enter(register: psycopg.Connection) -> Enter:
    """Return the deed of entering a right."""

    def deed(right_no: str, kind: str, holder: str, name: str, **more: Any) -> None:
        row: dict[str, Any] = {"right_no": right_no, "unit_no": UNIT, "kind": kind, "status": "1"}
        row |= {"holder_id": holder, "holder_id_type": "111", "holder_name": name}
        row |= {"registered_on": date(2020, 1, 1), "changed_at": MORNING}
        _insert(register, "real_estate_right", row | more)

    return deed


def owners(register: psycopg.Connection) -> list[dict[str, Any]]:
    sql = load("real_estate_registration.ownership").sql
    assert sql is not None
    with register.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f"SELECT * FROM ({sql}) AS built ORDER BY holder_id".encode())
        return cursor.fetchall()


class TestOwnership:
    def test_columns_are_the_contracts(self, register: psycopg.Connection, enter: Enter) -> None:
        """The build yields the contract's fields, in order."""
        enter("Q1", "ownership", ZHANG, "张三")

        assert load("real_estate_registration.ownership").columns == tuple(owners(register)[0])

    def test_free_unit(self, register: psycopg.Connection, enter: Enter) -> None:
        """Without entries against it, a unit is neither mortgaged nor seized."""
        enter("Q1", "ownership", ZHANG, "张三")

        (found,) = owners(register)

        assert (False, None, None) == (
            found["mortgaged"],
            found["mortgagee"],
            found["mortgage_yuan"],
        )
        assert (False, None) == (found["seized"], found["seized_by"])
        assert ("胜利街1号", MORNING) == (found["location"], found["changed_at"])

    def test_burdens(self, register: psycopg.Connection, enter: Enter) -> None:
        """Mortgages are added up, holders and seizer are named, and the latest change counts."""
        enter("Q1", "ownership", ZHANG, "张三", co_ownership="1")
        enter("Q2", "ownership", LI, "李四", co_ownership="1")
        enter("M1", "mortgage", BANK, "甲银行", amount_yuan=1000)
        enter("M2", "mortgage", COURT, "乙银行", amount_yuan=500, changed_at=NOON)
        enter("S1", "seizure", COURT, "永康市人民法院")

        zhang, li = owners(register)

        assert ["张三", "李四"] == [zhang["holder_name"], li["holder_name"]]
        for found in (zhang, li):
            assert found["mortgaged"]
            assert {"甲银行", "乙银行"} == set(found["mortgagee"].split("、"))
            assert Decimal(1500) == found["mortgage_yuan"]
            assert (True, "永康市人民法院") == (found["seized"], found["seized_by"])
            assert NOON == found["changed_at"]

    def test_past_entries_do_not_count(self, register: psycopg.Connection, enter: Enter) -> None:
        """Only entries of status 1 answer who owns now, and what burdens it now."""
        enter("Q0", "ownership", LI, "李四", status="2")
        enter("Q1", "ownership", ZHANG, "张三")
        enter("M0", "mortgage", BANK, "甲银行", status="2", amount_yuan=1000)
        enter("S0", "seizure", COURT, "永康市人民法院", status="2")

        (found,) = owners(register)

        assert ("张三", False, False) == (
            found["holder_name"],
            found["mortgaged"],
            found["seized"],
        )

    def test_one_row_a_unit_and_owner(self, register: psycopg.Connection, enter: Enter) -> None:
        """Two entries of one owner are one ownership: the later one."""
        enter("Q1", "ownership", ZHANG, "张三", share="1/3")
        enter("Q2", "ownership", ZHANG, "张三", share="2/3", registered_on=date(2021, 1, 1))

        (found,) = owners(register)

        assert "2/3" == found["share"]


class TestHolding:
    def test_view_of_the_vault_has_the_contracts_columns(self, database: Database) -> None:
        """The hub may read the view, and finds there what the contract promises."""
        contract = load("license.holding")
        assert contract.sql is not None

        with database.connect(Role.HUB) as connection:
            cursor = connection.execute(contract.sql.encode())

        assert contract.columns == tuple(each.name for each in cursor.description or ())
