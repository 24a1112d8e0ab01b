"""Land, credit, funds, tutoring and projects: what one table says of another is so."""

from __future__ import annotations

from datetime import date

import pytest
import yaml

from connectors.testkit.city import City, desks, generate
from connectors.testkit.city.bureaus import SURVEYED_ONCE
from connectors.testkit.city.lots import Row
from connectors.testkit.city.parties import STRANGER
from connectors.testkit.city.projects import UNKNOWN
from schemas.codes import code_list
from schemas.contract import load
from schemas.contract_files import FOLDER
from schemas.departments import tree

DATASETS = (
    *("space.division", "space.address", "space.parcel", "space.building"),
    *("credit.permit", "credit.penalty", "credit.blacklist", "credit.repair"),
    *("medical_insurance.enrollment", "housing_maintenance_fund.deposit"),
    *("off_campus_tutoring.license", "investment_project.project", "investment_project.stage"),
    *("investment_project.permit", "investment_project.joint_survey"),
)
LAND_OF_OTHERS = "space.parcel", "space.building"


@pytest.fixture(scope="module")
def city() -> City:
    return generate(seed=7, people=3000)


def rows(city: City, dataset: str) -> list[Row]:
    return city.tables[dataset].as_rows()


@pytest.mark.parametrize("dataset", DATASETS)
class TestTables:
    def test_feed_every_field_of_the_contract(self, city: City, dataset: str) -> None:
        """No field is without a column, and no column is for nothing."""
        table = city.tables[dataset]
        units = {unit["column"] for unit in table.units.values()}

        assert set(load(dataset).columns) == set(table.fields.values())
        assert set(table.columns) == set(table.fields) | units

    def test_belong_to_the_one_source(self, city: City, dataset: str) -> None:
        """The department that sends is the one that the contract names."""
        assert load(dataset).owner == city.tables[dataset].owner

    def test_speak_the_codes_of_their_crosswalks(self, city: City, dataset: str) -> None:
        """What a crosswalk makes of the department's codes is in the contract's code list."""
        contract = load(dataset)

        for field, codes in city.tables[dataset].crosswalk.items():
            if wanted := contract.field(field).code_list:
                assert set(codes.values()) <= set(code_list(wanted).values)


class TestWays:
    def test_every_table_travels_one_way(self, city: City) -> None:
        """By file, by the cloud, by the platform, beside the police's register, or by the API."""
        ways = [*desks.DESKS, *desks.CLOUD, *desks.PLATFORM, *desks.ADDRESSES, *LAND_OF_OTHERS]

        assert sorted(city.tables) == sorted(ways)


class TestDivisions:
    def test_what_ends_is_followed_at_once(self, city: City) -> None:
        """A code that was replaced is replaced by one that was in force on its last day."""
        standing = {row["XZQHDM"]: row for row in rows(city, "space.division")}
        replaced = [row for row in rows(city, "space.division") if row["JRDM"]]

        for row in replaced:
            heir = standing[row["JRDM"]]
            assert str(heir["QYRQ"]) <= str(row["TYRQ"])
            assert heir["TYRQ"] is None or str(heir["TYRQ"]) > str(row["TYRQ"])

    def test_the_county_is_the_code_lists(self, city: City) -> None:
        """What the department says of the city's own code, the national list says too."""
        told = {row["XZQHDM"]: row for row in rows(city, "space.division")}
        [known, before] = [code_list("divisions").get(code) for code in ("330784", "330722")]

        assert str(known.since) == told["330784"]["QYRQ"] == told["330722"]["TYRQ"]
        assert before.successor == told["330722"]["JRDM"]


class TestLand:
    def test_units_stand_in_buildings_on_parcels(self, city: City) -> None:
        """The numbers of the first flats begin with a building's and a parcel's."""
        parcels = {row["ZDDM"] for row in rows(city, "space.parcel")}
        buildings = {row["ZRZH"] for row in rows(city, "space.building")}

        assert {str(code)[:19] for code in buildings} <= parcels
        assert city.truth.cast.unit_no[:24] in buildings


class TestCredit:
    def test_repairs_are_of_what_was_decided(self, city: City) -> None:
        """All but the planted stranger name a penalty or an entry that exists."""
        penalties = {row["CF_WSH"] for row in rows(city, "credit.penalty")}
        entries = {row["BH"] for row in rows(city, "credit.blacklist")}
        repairs = rows(city, "credit.repair")
        planted = city.truth.datasets["credit.repair"].planted["broken-reference"]
        strangers = sum(row["SHXYM"] == STRANGER for row in repairs)

        lost = [
            row
            for row in repairs
            if not (row["CFWSH"] is None or row["CFWSH"] in penalties)
            or not (row["MDBH"] is None or row["MDBH"] in entries)
        ]

        assert planted - strangers == len(lost)


class TestProjects:
    def test_what_is_finished_was_accepted_and_measured(self, city: City) -> None:
        """A project whose last stage is done stands; so does what was measured."""
        finished = {r["XMDM"] for r in rows(city, "investment_project.project") if r["XMZT"] == "3"}
        accepted = {
            row["XMDM"]
            for row in rows(city, "investment_project.stage")
            if row["SPJD"] == "竣工验收" and row["JDZT"] == "办结"
        }

        measured = {row["XMDM"] for row in rows(city, "investment_project.joint_survey")}

        assert accepted
        assert accepted - {UNKNOWN} <= finished
        assert measured - {UNKNOWN} <= finished

    def test_the_contract_names_the_seven(self) -> None:
        """A building is measured once for seven departments, which stand in the tree."""
        file = FOLDER / "investment_project" / "joint_survey.yaml"
        text = yaml.safe_load(file.read_text("utf-8"))["description"]["usage"]

        assert 7 == len(SURVEYED_ONCE)
        for bureau in SURVEYED_ONCE:
            assert bureau.name in text
            assert bureau.name == tree().get(bureau.code, date(2026, 1, 1)).name_zh
