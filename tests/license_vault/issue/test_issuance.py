"""Who is due a license by the libraries, and what follows when owners change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
import pytest

from exchange import issuance
from exchange.database import Database, Role
from exchange.issuance import Summary, issue_due, right_type
from license_vault import change, store, types
from schemas import contract
from schemas.license import License, Status
from tests.license_vault.office import OFFICER, Office

AUTHORITY = "11330784MB90002263"
ENTITIES = ("91330784MA00010018", "91330784MA00010034", "91330784MA0001005X")
LIVING, DEAD, OTHER = "11010519491231002X", "440524188001010014", "110105199001010039"
UNITS = (
    "330784001001GB00001F00010001",
    "330784001001GB00001F00010002",
    "330784001001GB00001F00010003",
    "330784001001GB00001F00010004",
)


@dataclass
class Libraries:
    """Rows in the real tables of the libraries, as collecting would leave them."""

    conn: psycopg.Connection[Any]

    def put(self, dataset: str, **row: Any) -> None:
        """Insert a row, or replace the one with the same key."""
        held = contract.load(dataset)
        row = {"changed_at": "2026-01-01T00:00:00Z", "_batch": 1, "_since": "2026-01-01"} | row
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
        where = " AND ".join(f"{name} = %s" for name in held.key)
        keys = [row[name] for name in held.key]
        table = f"library.{held.table}"
        self.conn.execute(f"DELETE FROM {table} WHERE {where}".encode(), keys)
        query = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        self.conn.execute(query.encode(), list(row.values()))
        self.conn.commit()

    def resident(self, number: str, *, deceased: bool = False) -> None:
        """Somebody in the population library."""
        self.put("population.resident", resident_id=number, name="应某", deceased=deceased)

    def entity(self, uscc: str, representative: str = LIVING, status: str = "1") -> None:
        """A company."""
        self.put(
            "legal_entity.registration",
            uscc=uscc,
            name=f"永康市{uscc[-2:]}号餐饮有限公司",
            entity_type="1130",
            legal_representative="应某",
            representative_id=representative,
            address="永康市东城街道望春路1号",
            registration_authority=AUTHORITY,
            registration_authority_name="永康市市场监督管理局",
            registered_capital="1000000.00",
            capital_currency="CNY",
            business_scope="餐饮服务",
            established_on=date(2020, 1, 5),
            term_from=date(2020, 1, 5),
            status=status,
        )

    def owner(self, unit: str, holder: str = LIVING, serial: int = 1, **more: Any) -> None:
        """An owner of a unit now."""
        kind = "001" if holder.startswith("91") else "111"
        row: dict[str, Any] = {
            "unit_no": unit,
            "holder_id": holder,
            "holder_id_type": kind,
            "holder_name": f"应{holder[-2:]}",
            "certificate_no": f"浙(2024)永康市不动产权第{serial:07}号",
            "co_ownership": "0",
            "location": "永康市东城街道金城路6号",
            "area_m2": "89.57",
            "use": "11",
            "registered_on": date(2024, 3, 9),
            "authority": "11330784MB90003307",
            "authority_name": "永康市自然资源和规划局",
            "mortgaged": False,
            "seized": False,
        }
        self.put("real_estate_registration.ownership", **(row | more))

    def leave(self, unit: str, holder: str) -> None:
        """Owns it no more."""
        self.conn.execute(
            "DELETE FROM library.real_estate_registration_ownership"
            " WHERE unit_no = %s AND holder_id = %s",
            (unit, holder),
        )
        self.conn.commit()


@pytest.fixture
def libraries(vault: Office) -> Any:
    """Libraries with people in them."""
    with vault.settings.database.connect(Role.OWNER) as conn:
        filled = Libraries(conn)
        for number in (LIVING, OTHER):
            filled.resident(number)
        filled.resident(DEAD, deceased=True)
        yield filled


def due(vault: Office, limit: int = 20) -> Summary:
    """Run it."""
    return issue_due(vault.settings, limit)


def held(vault: Office, subject: str) -> list[License]:
    """Every license about it."""
    with vault.connect() as conn:
        return store.of_subject(conn, subject)


class TestIssueDue:
    def test_the_first_by_natural_key_half_of_each_kind(
        self, vault: Office, libraries: Libraries
    ) -> None:
        """A limit of five: three business licenses, two certificates."""
        for uscc in reversed(ENTITIES):
            libraries.entity(uscc)
        for serial, unit in enumerate(reversed(UNITS)):
            libraries.owner(unit, serial=serial)

        summary = due(vault, 5)

        assert (3, 2, 5) == (summary.business_licenses, summary.certificates, summary.issued)
        assert [1, 1, 0, 0] == [len(held(vault, unit)) for unit in UNITS]

    def test_twice_is_once(self, vault: Office, libraries: Libraries) -> None:
        """The same libraries again: nothing is due."""
        libraries.entity(ENTITIES[0])
        libraries.owner(UNITS[0])
        due(vault)

        assert 0 == due(vault).issued

    def test_none_for_the_dead_the_closed_and_the_seized(
        self, vault: Office, libraries: Libraries
    ) -> None:
        """Each of them steps aside, and the next by key has its place."""
        libraries.entity(ENTITIES[0], representative=DEAD)
        libraries.entity(ENTITIES[1], status="3")
        libraries.entity(ENTITIES[2])
        libraries.owner(UNITS[0], DEAD)
        libraries.owner(UNITS[1], seized=True, seized_by="永康市人民法院")
        libraries.owner(UNITS[2], LIVING)
        libraries.owner(UNITS[2], DEAD)
        libraries.owner(UNITS[3])

        assert (1, 1) == (due(vault, 2).business_licenses, len(held(vault, UNITS[3])))
        assert not any(held(vault, unit) for unit in (*UNITS[:3], *ENTITIES[:2]))

    def test_a_unit_that_its_register_does_not_know_waits(
        self, vault: Office, libraries: Libraries
    ) -> None:
        """It has no location yet; the next by key has its place."""
        libraries.owner(UNITS[0], location=None)
        libraries.owner(UNITS[1], serial=2)

        assert (1, {}) == (due(vault, 2).certificates, due(vault, 2).not_issued)
        assert held(vault, UNITS[1])

    def test_nothing_before_it_is_known_who_lives(self, vault: Office) -> None:
        """An empty population library says nothing about anybody, so nobody is issued anything."""
        with vault.settings.database.connect(Role.OWNER) as conn:
            Libraries(conn).entity(ENTITIES[0])

        assert Summary(waiting=("population.resident",)) == due(vault)

    def test_co_holders_are_on_one_certificate(self, vault: Office, libraries: Libraries) -> None:
        """In the order of their numbers, shares shown; the mortgage stands in 附记."""
        burden: dict[str, Any] = {
            "mortgaged": True,
            "mortgagee": "永康农商银行",
            "mortgage_yuan": "1200000",
        }
        libraries.owner(UNITS[0], OTHER, co_ownership="2", share="30%", **burden)
        libraries.owner(UNITS[0], LIVING, co_ownership="2", share="70%", **burden)

        due(vault)

        [certificate] = held(vault, UNITS[0])
        assert [LIVING, OTHER] == [each.id for each in certificate.holders]
        assert "按份共有（应2X 70%，应39 30%）" == certificate.face["co_ownership"]
        assert "永康农商银行" in certificate.face["remarks"]
        assert "1,200,000.00 元" in certificate.face["remarks"]

    def test_a_row_that_lacks_what_a_face_needs_is_counted_and_holds_up_nobody(
        self, vault: Office, libraries: Libraries
    ) -> None:
        """No day of registration, no certificate; the others are issued."""
        libraries.owner(UNITS[0], registered_on=None)
        libraries.owner(UNITS[1], serial=2)

        summary = due(vault)

        assert (1, {"invalid": 1}) == (summary.certificates, summary.not_issued)


class TestOwnersChange:
    @pytest.fixture
    def sold(self, vault: Office, libraries: Libraries) -> Libraries:
        """A unit that had a certificate and has another owner under another number now."""
        libraries.owner(UNITS[0], LIVING, serial=1)
        due(vault)
        libraries.leave(UNITS[0], LIVING)
        libraries.owner(UNITS[0], OTHER, serial=2)
        return libraries

    def test_the_new_certificate_supersedes_the_old(self, vault: Office, sold: Libraries) -> None:
        """Linked both ways, and the old one's slot says invalid."""
        summary = due(vault)

        old, new = held(vault, UNITS[0])
        assert (1, 1) == (summary.certificates, summary.superseded)
        assert (Status.SUPERSEDED, new.id) == (old.status, old.superseded_by)
        assert (Status.VALID, old.id) == (new.status, new.supersedes)
        with vault.connect() as conn:
            assert [(old.status_index, 1)] == store.slots(conn, 1)[1]

    def test_whatever_the_limit(self, vault: Office, sold: Libraries) -> None:
        """A certificate that became untrue is replaced though it be not among the first."""
        assert 1 == due(vault, 0).superseded

    def test_and_back_again(self, vault: Office, sold: Libraries) -> None:
        """Sold back under a third number: a third certificate, one of them valid."""
        due(vault)
        sold.leave(UNITS[0], OTHER)
        sold.owner(UNITS[0], LIVING, serial=3)

        due(vault)

        assert [Status.SUPERSEDED, Status.SUPERSEDED, Status.VALID] == [
            each.status for each in held(vault, UNITS[0])
        ]

    def test_a_mortgage_is_no_change_of_owner(self, vault: Office, sold: Libraries) -> None:
        """The certificate stands as it was issued."""
        due(vault)
        sold.owner(UNITS[0], OTHER, serial=2, mortgaged=True, mortgagee="银行")

        assert 0 == due(vault).issued

    def test_what_an_officer_revoked_is_not_issued_again(
        self, vault: Office, libraries: Libraries
    ) -> None:
        """The same owners under the same number stay without a certificate."""
        libraries.owner(UNITS[0])
        due(vault)
        [certificate] = held(vault, UNITS[0])
        with vault.connect() as conn:
            change.revoke(conn, certificate.id, reason="court order", by=OFFICER)

        assert 0 == due(vault).issued

    def test_a_seized_unit_keeps_its_certificate_and_gets_no_new_one(
        self, vault: Office, sold: Libraries
    ) -> None:
        """Nothing is issued for it until the seizure is lifted."""
        sold.owner(UNITS[0], OTHER, serial=2, seized=True, seized_by="法院")

        assert 0 == due(vault).issued
        assert [Status.VALID] == [each.status for each in held(vault, UNITS[0])]


class TestHolding:
    def test_the_hub_sees_holdings_by_holder(
        self, vault: Office, libraries: Libraries, database: Database
    ) -> None:
        """One row a holder, the face as it was sealed."""
        libraries.owner(UNITS[0], LIVING)
        due(vault)

        with database.connect(Role.HUB) as hub:
            row = hub.execute(
                "SELECT type_code, status, face ->> 'unit_no' FROM vault.holding"
                " WHERE holder_id = %s",
                (LIVING,),
            ).fetchone()

        assert (types.REAL_ESTATE_CERTIFICATE, "valid", UNITS[0]) == row


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("330784001001GB00001F00010001", "国有建设用地使用权／房屋（构筑物）所有权"),
        ("330784001001JC00001F00010001", "宅基地使用权／房屋（构筑物）所有权"),
        ("330784001001GB00001W00000000", "国有建设用地使用权"),
    ],
)
def test_the_right_follows_from_the_unit_number(unit: str, shown: str) -> None:
    """Parcel features, and what stands on it (GB/T 37346-2019)."""
    assert shown == right_type(unit)
    assert issuance.QR_KEY == "qr.key"
