"""Departments in time: who was there, under whom, and who took over."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.testkit.city import numbers
from schemas.contract import all_contracts
from schemas.departments import Department, Level, Tree, grown, read, tree
from schemas.errors import Invalid, NotFound
from schemas.yaml_files import Place

TODAY = date(2026, 1, 1)
DATA, HEALTH, MARKET = "11330784MB9000445D", "11330784MB9000664P", "11330784MB90002263"
HYGIENE, FAMILY_PLANNING = "11330784MB9000365R", "11330784MB9000373L"
REGISTRATION = "12330784MB9000197L"


class TestAt:
    def test_only_who_is_there(self) -> None:
        """The health bureau came in 2019, when its predecessor went."""
        before, after = tree().at(date(2019, 2, 28)), tree().at(date(2019, 3, 1))

        assert HEALTH not in before
        assert HEALTH in after
        assert "永康市卫生和计划生育局" in {each.name_zh for each in before.values()}
        assert "永康市卫生和计划生育局" not in {each.name_zh for each in after.values()}

    def test_a_new_name_under_the_same_code(self) -> None:
        """A renamed department is the same department."""
        assert "永康市大数据发展管理局" == tree().get(DATA, date(2024, 5, 31)).name_zh
        assert "永康市数据局" == tree().get(DATA, date(2024, 6, 1)).name_zh

    def test_nobody(self) -> None:
        """A department that was not there yet is not found."""
        with pytest.raises(NotFound):
            tree().get(MARKET, date(2000, 1, 1))


class TestPath:
    def test_from_the_province_down(self) -> None:
        """A centre under a bureau under the city, its prefecture and its province."""
        levels = [each.level for each in tree().path(REGISTRATION, TODAY)]

        assert ["province", "city", "county", "county", "county"] == levels

    def test_children(self) -> None:
        """Villages stand under their town."""
        town = "11330784MB8000072A"

        assert [Level.VILLAGE] == [each.level for each in tree().children(town, TODAY)]


class TestSuccessor:
    @pytest.mark.parametrize("old", [HYGIENE, FAMILY_PLANNING])
    def test_through_two_mergers(self, old: str) -> None:
        """Whoever was there in between acts in between."""
        assert "永康市卫生和计划生育局" == tree().successor(old, date(2016, 1, 1)).name_zh
        assert HEALTH == tree().successor(old, TODAY).code

    def test_itself_while_it_is_there(self) -> None:
        """A department acts for itself."""
        assert HYGIENE == tree().successor(HYGIENE, date(2014, 12, 31)).code

    def test_of_nobody(self) -> None:
        """A code that nobody had has no heir."""
        with pytest.raises(NotFound):
            tree().successor("11330784MB90005176", TODAY)

    def test_split(self) -> None:
        """Several heirs: the first takes what nobody else was named for."""
        whole, left, right = (code(serial) for serial in range(3))
        day = date(2020, 1, 1)
        found = grow(
            Department(whole, "整", Level.COUNTY, valid_to=day, successors=(right, left)),
            Department(left, "左", Level.COUNTY, valid_from=day),
            Department(right, "右", Level.COUNTY, valid_from=day),
        )

        assert right == found.successor(whole, TODAY).code
        assert [right, left] == [each.code for each in found.successors(whole, TODAY)]

    def test_closed_without_heir(self) -> None:
        """It ended, and nobody took over: a person must decide."""
        found = grow(Department(code(0), "散", Level.TOWN, valid_to=date(2020, 1, 1)))

        assert () == found.successors(code(0), TODAY)
        with pytest.raises(NotFound, match="nobody took over"):
            found.successor(code(0), TODAY)


class TestContracts:
    def test_every_authority_is_a_department_of_that_name(self) -> None:
        """Who answers for a dataset is somebody who is there."""
        there = tree().at(TODAY)

        for each in all_contracts():
            assert each.authority.name_zh == there[each.authority.code].name_zh, each.id
            assert each.owner == each.authority.name_zh, each.id


class TestTreesThatDoNotStand:
    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            ("{code: '123', name: 甲, level: town}", "department 123: .*credit"),
            ("{code: A, name: 甲, level: hamlet}", "not one of province"),
            ("{code: A, name: 甲, level: town, parent: B}", "parent B is not there on"),
            ("{code: A, name: 甲, level: town, colour: red}", "colour"),
            ("{code: A, name: 甲, level: town, to: someday}", "to: "),
            ("{code: A, name: 甲, level: town, from: 2020-01-01, to: 2019-01-01}", "before it"),
            ("{code: A, name: 甲, level: town}\n- {code: A, name: 甲, level: town}", "twice"),
            ("{code: A, name: 甲, level: town}\n- {code: A, name: 乙, level: town}", "overlap"),
            ("{code: A, name: 甲, level: town, parent: A}", "stands above itself"),
            (
                "{code: A, name: 甲, level: town, parent: B}\n"
                "- {code: B, name: 乙, level: town, parent: A}",
                "stands above itself",
            ),
            (
                "{code: A, name: 甲, level: county, parent: B}\n- {code: B, name: 乙, level: town}",
                "parent stands lower",
            ),
            (
                "{code: A, name: 甲, level: town, parent: B}\n"
                "- {code: B, name: 乙, level: county, to: 2020-01-01}",
                "parent B is not there on 2020-01-01",
            ),
            (
                "{code: A, name: 甲, level: town, to: 2020-01-01, successors: [B]}\n"
                "- {code: B, name: 乙, level: town, from: 2021-01-01}",
                "successor B is not there",
            ),
            ("{code: A, name: 甲, level: town, successors: [A]}", "successor A is not there"),
        ],
    )
    def test_is_refused(self, tmp_path: Path, entries: str, message: str) -> None:
        """The error names the file and the department."""
        for letter, number in (("A", code(1)), ("B", code(2))):
            entries = entries.replace(f"{letter}", number)
            message = message.replace(f" {letter} ", f" {number} ")
        listed = entries.replace("\n", "\n  ")
        (tmp_path / "own.yaml").write_text(f"departments:\n  - {listed}\n", "utf-8")

        with pytest.raises(Invalid, match=rf"own\.yaml.*{message}"):
            read(tmp_path)


def code(serial: int) -> str:
    """A credit code of a department that does not exist."""
    return numbers.credit_code("11", "330784", 500 + serial)


def grow(*departments: Department) -> Tree:
    return grown({each: Place("here.yaml", f"department {each.code}") for each in departments})


START = date(2000, 1, 1)


@st.composite
def reforms(draw: st.DrawFn) -> Tree:
    """A government, and bureaus that are closed, merged and split on some days."""
    government = Department(code(0), "府", Level.COUNTY)
    made, alive, serial = [government], [1, 2, 3], 3
    since = dict.fromkeys(alive, START)
    day = START
    for _ in range(draw(st.integers(0, 6))):
        day += timedelta(days=draw(st.integers(1, 900)))
        ending = draw(st.lists(st.sampled_from(alive), min_size=1, max_size=2, unique=True))
        heirs = list(range(serial + 1, serial + 1 + draw(st.integers(1, 2))))
        serial = heirs[-1]
        for each in ending:
            made.append(bureau(each, since[each], day, heirs))
        alive = [each for each in alive if each not in ending] + heirs
        since |= dict.fromkeys(heirs, day)
    made += [bureau(each, since[each], date.max, []) for each in alive]
    return grow(*made)


def bureau(serial: int, since: date, until: date, heirs: list[int]) -> Department:
    named = tuple(code(heir) for heir in heirs)
    return Department(code(serial), f"局{serial}", Level.COUNTY, code(0), since, until, named)


class TestAnyReform:
    @given(reforms(), st.integers(0, 8000))
    def test_somebody_always_acts(self, found: Tree, days: int) -> None:
        """Whoever was there on a day before has an heir, and the heir is there."""
        day = START + timedelta(days=days)
        there = found.at(day)

        for number, spells in found.spells.items():
            if spells[0].valid_from <= day:
                assert there[number if number in there else found.successor(number, day).code]
                heirs = found.successors(number, day)
                assert found.successor(number, day) == heirs[0]
                assert all(heir.in_force(day) for heir in heirs)

    @given(reforms(), st.integers(0, 8000))
    def test_every_path_begins_at_the_top(self, found: Tree, days: int) -> None:
        """And everybody on it was there on that day."""
        day = START + timedelta(days=days)

        for number in found.at(day):
            path = found.path(number, day)
            assert None is path[0].parent
            assert number == path[-1].code
            assert all(each.in_force(day) for each in path)
