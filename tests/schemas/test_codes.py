"""Code lists, and divisions with their days and successors."""

from __future__ import annotations

from datetime import date

import pytest

from schemas.codes import all_code_lists, code_list
from schemas.errors import NotFound

TODAY = date(2026, 1, 1)


class TestCodeList:
    @pytest.mark.parametrize("name", sorted(all_code_lists()))
    def test_every_list_names_its_standard(self, name: str) -> None:
        """A list says where its codes come from and what each means."""
        found = code_list(name)

        assert found.label_zh
        assert found.standard
        assert all(found.label(code) for code in found.values)

    def test_labels(self) -> None:
        """A code is turned into the words that a license prints."""
        assert "女" == code_list("sex").label("2")
        assert "基诺族" == code_list("ethnicity").label("56")
        assert "存续" == code_list("entity_status").label("1")

    def test_the_fifty_six(self) -> None:
        """GB/T 3304 numbers fifty-six peoples without a gap, and two more cases."""
        numbered = [f"{number:02}" for number in range(1, 57)]

        assert (*numbered, "97", "98") == code_list("ethnicity").values

    def test_unknown_code_and_list(self) -> None:
        """An unknown code is not guessed at."""
        assert "3" not in code_list("sex")
        with pytest.raises(NotFound):
            code_list("sex").label("3")
        with pytest.raises(NotFound):
            code_list("colour")


class TestDivisions:
    @pytest.mark.parametrize(
        ("code", "name"),
        [
            ("330784", "永康市"),
            ("330702", "婺城区"),
            ("330703", "金东区"),
            ("330723", "武义县"),
            ("330726", "浦江县"),
            ("330727", "磐安县"),
            ("330781", "兰溪市"),
            ("330782", "义乌市"),
            ("330783", "东阳市"),
            ("110101", "东城区"),
            ("110105", "朝阳区"),
            ("430212", "渌口区"),
            ("810000", "香港特别行政区"),
            ("820000", "澳门特别行政区"),
        ],
    )
    def test_in_force_today(self, code: str, name: str) -> None:
        """A division that exists now has its name."""
        assert name == code_list("divisions").at(TODAY).label(code)

    @pytest.mark.parametrize(
        ("old", "new", "day"),
        [
            ("430221", "430212", date(2018, 6, 19)),
            ("330103", "330105", date(2021, 4, 9)),
            ("330104", "330102", date(2021, 4, 9)),
            ("330722", "330784", date(1992, 8, 24)),
        ],
    )
    def test_abolished(self, old: str, new: str, day: date) -> None:
        """The old code ends on the day on which the new one takes over."""
        divisions = code_list("divisions")

        assert old in divisions.at(date.fromordinal(day.toordinal() - 1))
        assert old not in divisions.at(day)
        assert new == divisions.successor(old, day).code

    def test_succession_in_two_steps(self) -> None:
        """440524 became a city, which became a district."""
        divisions = code_list("divisions")

        assert "440582" == divisions.successor("440524", date(2000, 1, 1)).code
        assert "440513" == divisions.successor("440524", TODAY).code

    def test_successor_before_its_time(self) -> None:
        """A code that did not exist yet and replaced nothing cannot be followed."""
        with pytest.raises(NotFound):
            code_list("divisions").successor("430212", date(2000, 1, 1))

    def test_only_divisions_are_dated(self) -> None:
        """The other lists have no days."""
        dated = [name for name, each in all_code_lists().items() if each.dated]

        assert ["divisions"] == dated
