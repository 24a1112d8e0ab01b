"""Which columns are keys, and which field of a known contract a column is."""

from __future__ import annotations

import pytest

from exchange.sources import keys, matching, proposal
from exchange.sources.matching import matched
from schemas.contract import load
from schemas.errors import Invalid
from tests.exchange.sources.conftest import sample
from tests.schemas.numbers import CREDIT_CODES, RESIDENTS

NUMBERS = [f"T{number}" for number in range(10)]
NAMES = [f"名{number}" for number in range(10)]
RESIDENT = load("population.resident")


class TestKeys:
    def test_numbers_come_before_names(self) -> None:
        """Both are unique; one is made to be."""
        found = keys.candidates(sample(名称=NAMES, 编号=NUMBERS))

        assert (("编号",), ("名称",)) == found

    def test_dates_and_amounts_tell_nothing_apart(self) -> None:
        """They are unique by accident."""
        days = [f"2026-01-{day:02d}" for day in range(1, 11)]
        prices = [f"{price}.5" for price in range(10)]

        assert () == keys.candidates(sample(日期=days, 面积=prices))

    def test_two_columns_together(self) -> None:
        """A line of a bill: its bill and its number."""
        bills = [f"B{number // 2}" for number in range(10)]
        lines = [str(number % 2 + 1) for number in range(10)]

        assert ("bill_no", "line_no") in keys.candidates(sample(bill_no=bills, line_no=lines))

    def test_none_is_said(self) -> None:
        """And what to do about it."""
        with pytest.raises(Invalid, match="--key"):
            keys.chosen(sample(C=["x"] * 10), (), "stalls")

    def test_what_was_said_must_be_there(self) -> None:
        """A slip is answered with what there is."""
        with pytest.raises(Invalid, match="it has 编号"):
            keys.chosen(sample(编号=NUMBERS), ("编码",), "stalls")

    def test_cursors_are_times_then_rising_numbers(self) -> None:
        """The time of change before any other."""
        times = [f"2026-01-{day:02d} 00:00:00" for day in range(1, 11)]
        rising = [str(number) for number in range(10)]

        found = keys.cursors(sample(seq=rising, created=times, updated_at=times))

        assert ("updated_at", "created", "seq") == found


class TestDatasets:
    def test_numbers_of_several_kinds_have_a_column_that_tells(self) -> None:
        """A holder is a person or a body, and the kind of document says which."""
        found = proposal.dataset(
            *("market.stall", "摊位", "局", "x"),
            sample(
                编号=[f"T{number}" for number in range(10)],
                持有人证件号=[*RESIDENTS[:5], *CREDIT_CODES],
                证件类型=["111"] * 5 + ["001"] * 5,
            ),
        )

        holder = found.fields[1].field
        assert holder.identifier_by is not None
        assert {"111": "resident", "001": "uscc"} == dict(holder.identifier_by.kinds)
        assert {holder.name} == set(found.subjects.values())
        assert {"cn.resident_id", "cn.uscc"} == set(found.subjects)

    def test_everything_is_held_closely_but_the_time_of_change(self) -> None:
        """What is unsure is S3 and conditional; a person may lower it."""
        found = proposal.dataset(
            *("market.stall", "摊位", "局", "x"),
            sample(编号=NUMBERS, 名称=NAMES, 更新时间=["2026-01-05 00:00:00"] * 10),
        )

        assert [("S3", "conditional")] * 2 + [("S2", "unconditional")] == [
            (each.field.classification, each.field.share_class) for each in found.fields
        ]

    def test_one_row_a_subject_where_the_number_is_the_key(self) -> None:
        """A register of persons; else there may be many."""
        persons = proposal.dataset(*("a.b", "x", "局", "x"), sample(GMSFHM=list(RESIDENTS)))
        stalls = proposal.dataset(
            *("a.b", "x", "局", "x"), sample(编号=NUMBERS, GMSFHM=list(RESIDENTS))
        )

        assert ("one", "many") == (persons.cardinality, stalls.cardinality)


class TestMatching:
    def test_by_short_name_label_and_english_name(self) -> None:
        """All three are sure."""
        found = matched(
            sample(GMSFHM=list(RESIDENTS), 姓名=NAMES, birth_date=["1990-01-01"] * 10), RESIDENT
        )

        assert {"GMSFHM": "resident_id", "姓名": "name", "birth_date": "birth_date"} == {
            match.column: match.field for match in found.matches
        }
        assert all(match.sure for match in found.matches)

    def test_by_what_the_values_are_is_marked(self) -> None:
        """The only column of residents' numbers is likely it, and a person looks."""
        found = matched(sample(ID1=list(RESIDENTS), 颜色=["红"] * 10), RESIDENT)

        (match,) = found.matches
        assert ("resident_id", False) == (match.field, match.sure)
        assert "is it 公民身份号码" in match.todo[0]
        assert ("颜色",) == found.unused

    def test_words_of_the_source_become_codes(self) -> None:
        """What the list does not know is counted, and never repeated."""
        found = matched(sample(XBDM=["男", "女", "男", "秘密"]), RESIDENT)

        (match,) = found.matches
        assert match.coded is not None
        assert {"男": "1", "女": "2"} == dict(match.coded.crosswalk)
        assert "1 of 4 rows" in match.todo[0]
        assert "秘密" not in str(match)

    def test_units_belong_to_the_number_beside_them(self) -> None:
        """Ten thousand yuan are not one yuan."""
        found = matched(
            sample(REGCAP=["100.50", "3"], REGCAPDW=["万元", "元"]),
            load("legal_entity.registration"),
        )

        (unit,) = found.units
        assert ("registered_capital", "REGCAPDW") == (unit.field, unit.column)
        assert {"万元": 10_000, "元": 1} == dict(unit.factors)

    def test_what_nothing_feeds_is_told(self) -> None:
        """Every row must have a name; this source has none."""
        unfed = matched(sample(GMSFHM=list(RESIDENTS)), RESIDENT).unfed

        assert "name" in {field.name for field in unfed if field.required}

    def test_factors_are_exact(self) -> None:
        """Whole numbers only."""
        assert all(isinstance(factor, int) for factor in matching.FACTORS.values())
