"""What a sample says of a column."""

from __future__ import annotations

import pytest

from tests.exchange.sources.conftest import column
from tests.schemas.numbers import CREDIT_CODES, RESIDENTS, UNITS


class TestTypes:
    @pytest.mark.parametrize(
        ("expected", "cells"),
        [
            ("date", ["2026-01-05", "19991231", None]),
            ("timestamp", ["2026-01-05 08:00:00", "2026-01-05T08:00:00+08:00"]),
            ("integer", ["0", "12", "-7"]),
            ("decimal", ["12.50", "7", "0.5"]),
            ("boolean", ["是", "否", "是"]),
            ("string", ["甲", "乙"]),
            ("string", ["0571", "0579"]),
            ("string", ["330784", "330702", "330782"]),
            ("string", [None, None]),
            ("string", []),
        ],
    )
    def test_are_those_that_the_loader_reads(self, expected: str, cells: list[str | None]) -> None:
        """A code that looks like a number is none, and nothing is guessed of no value."""
        assert expected == column("C", cells).type

    def test_a_name_tells_numbers_of_things_from_numbers(self) -> None:
        """Nobody adds up house numbers."""
        assert "string" == column("门牌号", ["7", "12"]).type
        assert "integer" == column("层数", ["7", "12"]).type

    @pytest.mark.parametrize(
        ("declared", "expected"),
        [
            ("bigint", "integer"),
            ("numeric(12,3)", "decimal"),
            ("timestamp with time zone", "timestamp"),
            ("date", "date"),
            ("NUMBER(8,0)", "integer"),
            ("character varying(20)", "string"),
        ],
    )
    def test_what_the_database_declares_counts(self, declared: str, expected: str) -> None:
        """Even where there is no value yet."""
        assert expected == column("C", [None], declared).type

    def test_a_few_wrong_values_change_nothing(self) -> None:
        """They are what quarantine is for, and are counted."""
        found = column("C", ["2026-01-05"] * 19 + ["soon"])

        assert ("date", 1) == (found.type, found.wrong)

    def test_dates_that_nobody_reads_are_noticed(self) -> None:
        """They stay text, and a person is told."""
        found = column("C", ["2026/1/5", "2026/12/31"])

        assert ("string", True) == (found.type, found.other_dates)

    def test_decimals_keep_their_digits(self) -> None:
        """As many behind the point as were seen, and at least two."""
        assert (18, 4) == _digits(column("C", ["1.2345", "2"]))
        assert (18, 2) == _digits(column("C", ["1.5"]))
        assert (12, 3) == _digits(column("C", ["1.5"], "numeric(12,3)"))


class TestIdentifiers:
    @pytest.mark.parametrize(
        ("kind", "numbers"),
        [("resident", RESIDENTS), ("uscc", CREDIT_CODES), ("real_estate_unit", UNITS)],
    )
    def test_are_known_by_their_check_digits(self, kind: str, numbers: tuple[str, ...]) -> None:
        """Whatever the column is called."""
        assert kind == column("C", numbers).identifier

    def test_wrong_ones_are_counted(self) -> None:
        """One in twenty has a slip; it is still the column of numbers."""
        found = column("C", [*RESIDENTS, *RESIDENTS, RESIDENTS[0][:-1] + "0"])

        assert ("resident", 1) == (found.identifier, found.wrong)

    def test_several_kinds_in_one_column(self) -> None:
        """Of no kind alone, and of both together."""
        found = column("C", [*RESIDENTS, *CREDIT_CODES])

        assert (None, ("resident", "uscc")) == (found.identifier, found.mixed)

    def test_other_numbers_are_none(self) -> None:
        """Telephone numbers have eleven digits and no check."""
        found = column("C", [f"138{number:08d}" for number in range(50)])

        assert (None, ()) == (found.identifier, found.mixed)


class TestSecrecy:
    def test_values_are_not_in_what_is_printed(self) -> None:
        """A profile that lands in a log says nothing of anybody."""
        assert RESIDENTS[0] not in repr(column("C", RESIDENTS))


def _digits(found: object) -> tuple[int, int]:
    return getattr(found, "precision"), getattr(found, "scale")  # noqa: B009
