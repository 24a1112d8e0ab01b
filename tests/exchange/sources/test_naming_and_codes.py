"""What a column is called, and which codes it holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exchange.sources import coded
from exchange.sources.naming import Words
from tests.exchange.sources.conftest import column
from tests.schemas.numbers import RESIDENTS

WORDS = Words()


class TestNames:
    @pytest.mark.parametrize(
        ("source", "ours", "sure"),
        [
            ("GMSFHM", "resident_id", True),
            ("公民身份号码", "resident_id", True),
            ("name", "name", True),
            ("shopOwner", "shop_owner", False),
            ("TWBH", "twbh", False),
            ("摊位编号", "number", False),
            ("颜色", "column_3", False),
        ],
    )
    def test_are_those_of_other_contracts(self, source: str, ours: str, sure: bool) -> None:
        """The same thing has the same name in every library; else a person is asked."""
        named = WORDS.named(source, 3)

        assert (ours, sure) == (named.name, named.sure)

    def test_the_time_of_change_has_one_name(self) -> None:
        """Freshness is measured by it."""
        for source in ("GXSJ", "更新时间", "updated_at", "lastModified", "UPDATE_TIME"):
            assert "changed_at" == WORDS.named(source, 1, is_time=True).name, source

    def test_a_number_of_a_kind_is_called_like_its_like(self) -> None:
        """Whatever its header says."""
        assert "resident_id" == WORDS.named("经营者证件", 1, identifier="resident").name


class TestCodes:
    def test_known_by_what_they_mean(self) -> None:
        """The source says words, the list has codes: a crosswalk."""
        found = _known("类别", ["普通", "特许", "登记"] * 3)

        assert ("permit_kind", {"普通": "1", "特许": "2", "登记": "5"}) == found

    def test_single_digits_need_a_name(self) -> None:
        """1 and 2 are codes of many lists; in a column that others call sex they are of one."""
        assert None is _known("C", ["1", "2"] * 5)
        assert ("sex", {}) == _known("XBDM", ["1", "2"] * 5)

    def test_own_ones_are_proposed_where_values_repeat(self) -> None:
        """Three words, each several times: a list and a crosswalk."""
        kinds = column("经营类别", ["小吃", "百货", "鲜花"] * 3)

        own = coded.own_list(kinds, "market_stall_kind")

        assert coded.may_be_own(kinds)
        assert {"1": "小吃", "2": "百货", "3": "鲜花"} == own.own
        assert {"小吃": "1", "百货": "2", "鲜花": "3"} == own.crosswalk

    @pytest.mark.parametrize(
        ("name", "cells"),
        [
            ("经办人", ["张三", "李四"] * 9),
            ("owner_name", ["张三", "李四"] * 9),
            ("联系电话", ["13800000000", "13900000000"] * 9),
            ("C", ["甲", "乙", "丙"]),
            ("C", RESIDENTS[:3] * 5),
        ],
    )
    def test_but_never_where_they_may_be_somebodys(self, name: str, cells: Sequence[str]) -> None:
        """A list is written into a file: no names, no numbers, nothing that is there once."""
        assert not coded.may_be_own(column(name, cells))

    def test_short_codes_stay_as_they_are(self) -> None:
        """Their meaning is for a person to say."""
        own = coded.own_list(column("C", ["A", "B"] * 5), "x")

        assert ({"A": "A", "B": "B"}, {}) == (own.own, own.crosswalk)


def _known(name: str, cells: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    found, _ = coded.known_list(column(name, cells), WORDS)
    return (found.code_list, dict(found.crosswalk)) if found else None
