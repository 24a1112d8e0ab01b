"""Judging rows by their contract, without any database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from connectors.feeds import Manifest, load_manifest
from exchange.libraries.check import Check, Drifted, Judged, Tally, check, check_columns
from exchange.libraries.merge import FATE, Fate
from schemas.contract import load
from schemas.errors import Invalid
from schemas.identifiers import resident_check
from tests.exchange.libraries.conftest import ADA, BEN, SOURCES, Row, resident


def manifest(source: str) -> Manifest:
    return load_manifest(SOURCES / f"{source}.yaml")


@dataclass(frozen=True)
class Checked:
    """What came of all rows of a batch."""

    judged: Judged
    tally: Tally

    @property
    def staged(self) -> pl.DataFrame:
        return self.judged.good

    @property
    def bad(self) -> pl.DataFrame:
        return self.judged.bad

    @property
    def aliases(self) -> tuple[tuple[str, str, str], ...]:
        return self.judged.aliases

    @property
    def counts(self) -> dict[str, Any]:
        return self.tally.counts()


def checked(
    rows: Sequence[Row], source: str = "residents", mode: str = "snapshot", size: int = 1000
) -> Checked:
    """Judge `rows` in chunks of `size`."""
    described = manifest(source)
    names = [*described.source_columns, *(["_op", "_seq"] if mode == "changes" else [])]
    schema = pa.schema([(n, pa.int64() if n == "_seq" else pa.string()) for n in names])
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    return Checked(*check(table, load(described.dataset), described, mode, size))


def reasons(result: Checked) -> list[list[str]]:
    return [sorted(each) for each in result.bad["reasons"].to_list()]


def only(result: Checked) -> dict[str, Any]:
    assert result.bad.is_empty(), reasons(result)
    (row,) = result.staged.to_dicts()
    return dict(row)


def unit(**other: str | None) -> Row:
    usual = {
        "BDCDYH": "330784001001GB00001F00010001",
        "ZL": "永康市解放街1号",
        "MJ": "89.5",
        "MJDW": "平方米",
        "YT": "10",
        "XZQH": "330784",
        "GXSJ": "2026-11-20T08:00:00+08:00",
    }
    return {**usual, **other}


class TestValues:
    @pytest.mark.parametrize("sent", ["1990-01-01", "19900101"])
    def test_a_date_has_two_spellings(self, sent: str) -> None:
        """ISO 8601, extended and basic."""
        assert "1990-01-01" == str(only(checked([resident(BEN, CSRQ=sent)]))["birth_date"])

    @pytest.mark.parametrize(
        "sent",
        [
            "2026-11-20T08:00:00+08:00",
            "2026-11-20 00:00:00+00",
            "2026-11-20 00:00:00.000Z",
            "2026-11-20 08:00:00",
        ],
    )
    def test_a_moment_without_offset_is_on_the_wall(self, sent: str) -> None:
        """What says no offset is in China's time."""
        moment = only(checked([resident(BEN, GXSJ=sent)]))["changed_at"]

        assert "2026-11-20T00:00:00+00:00" == moment.isoformat()

    def test_a_unit_of_measure_is_applied_exactly(self) -> None:
        """Hectares become square metres without a float in between."""
        assert (
            Decimal("12345.60")
            == (only(checked([unit(MJ="1.23456", MJDW="公顷")], "units"))["area_m2"])
        )

    @pytest.mark.parametrize("given", [None, "亩"])
    def test_a_number_without_its_unit_stays_out(self, given: str | None) -> None:
        """A factor is never guessed."""
        assert [["area_m2:unknown-unit"]] == reasons(checked([unit(MJDW=given)], "units"))

    def test_blanks_are_nothing(self) -> None:
        """A field of blanks is empty, and blanks around a text are not part of it."""
        row = only(checked([resident(BEN, " 王 ", LXDH="  ")]))

        assert ("王", None) == (row["name"], row["phone"])


class TestReasons:
    def test_every_reason_is_named(self) -> None:
        """A row says all that is wrong with it, not the first."""
        row = resident(f"{BEN[:17]}3", " ", XBDM="其他", CSRQ="昨天")

        assert [
            [
                "birth_date:not-a-date",
                "name:required",
                "resident_id:check-character",
                "sex:unknown-code",
            ]
        ] == reasons(checked([row]))

    def test_an_unknown_code_fails_closed(self) -> None:
        """A code that the crosswalk does not have is not passed on, even if it is one of ours."""
        assert [["sex:unknown-code"]] == reasons(checked([resident(BEN, XBDM="1")]))

    def test_a_rule_of_the_contract(self) -> None:
        """Nobody dies before being born."""
        row = resident(BEN, SWBS="1", SWRQ="1989-01-01")

        assert [["rule:death-after-birth"]] == reasons(checked([row]))

    def test_a_warning_is_counted_and_passes(self) -> None:
        """A date of birth that the number contradicts is for people to look at."""
        result = checked([resident(BEN, CSRQ="1990-01-02")])

        assert only(result)
        assert {"rule:birth-date-as-in-number": 1} == result.counts["flagged"]

    def test_a_division_inside_a_number_is_only_flagged(self) -> None:
        """Divisions are abolished and numbers are not."""
        nowhere = "999999" + BEN[6:17]

        result = checked([resident(nowhere + resident_check(nowhere))])

        assert only(result)
        assert {"resident_id:division": 1} == result.counts["flagged"]

    def test_the_row_is_kept_as_it_came(self) -> None:
        """Quarantine holds the source's own columns and the row's place in the file."""
        result = checked([resident(BEN), resident(ADA, XBDM="?")])

        (row,) = result.bad.to_dicts()
        assert (2, ADA, "?") == (row["row_number"], row["GMSFHM"], row["XBDM"])


class TestMended:
    def test_each_kind_of_change_is_counted(self) -> None:
        """Full width, lower case and fifteen digits, by name."""
        wide = "".join(chr(ord(digit) + 0xFEE0) for digit in BEN)
        lower = ADA.lower()

        counts = checked([resident(wide), resident(lower)]).counts

        assert {"full-width": 1, "lower-case": 1} == counts["mended"]

    def test_fifteen_digits_leave_an_alias(self) -> None:
        """The person is found by either number."""
        result = checked([resident("110105491231002")])

        assert ADA == only(result)["resident_id"]
        assert (("resident", "110105491231002", ADA),) == result.aliases


class TestDuplicates:
    def test_exact_ones_enter_once(self) -> None:
        """And are counted, also when one was written in another way."""
        result = checked([resident(ADA), resident(ADA), resident(ADA.lower())])

        assert 2 == result.counts["duplicate"]
        assert ADA == only(result)["resident_id"]

    def test_contradicting_ones_all_stay_out(self) -> None:
        """We do not choose between two stories of one person; whoever is held stays."""
        result = checked([resident(ADA, "甲"), resident(ADA, "乙"), resident(BEN)])

        assert [["key:conflict"], ["key:conflict"]] == reasons(result)
        assert [(ADA, Fate.KEPT), (BEN, Fate.HOLDS)] == sorted(
            result.staged.select("resident_id", FATE).iter_rows()
        )

    def test_rows_without_a_key_do_not_contradict_each_other(self) -> None:
        """Nothing is known of them but that they have none."""
        rows = [{**resident(ADA, name), "GMSFHM": None} for name in ("甲", "乙")]

        assert [["resident_id:required"]] * 2 == reasons(checked(rows))


class TestChanges:
    def test_the_last_word_counts(self) -> None:
        """Within a window the change with the highest number stands, whatever the row order."""
        rows: list[Row] = [
            {**resident(ADA, "后"), "_op": "U", "_seq": 9},
            {**resident(ADA, "先"), "_op": "I", "_seq": 3},
        ]

        result = checked(rows, mode="changes")

        assert "后" == only(result)["name"]
        assert 1 == result.counts["superseded"]

    def test_a_removal_needs_a_key_alone(self) -> None:
        """What is gone has no name to check."""
        rows: list[Row] = [{"GMSFHM": ADA, "_op": "D", "_seq": 1}]

        result = checked(rows, mode="changes")

        assert (ADA, Fate.GONE) == (only(result)["resident_id"], only(result)[FATE])
        assert 1 == result.counts["removals"]

    def test_a_removal_of_nobody_stays_out(self) -> None:
        """A number that is none removes nothing."""
        rows: list[Row] = [{"GMSFHM": f"{BEN[:17]}3", "_op": "D", "_seq": 1}]

        assert [["resident_id:check-character"]] == reasons(checked(rows, mode="changes"))

    def test_seen_twice_is_a_duplicate(self) -> None:
        """A log may say a thing twice."""
        rows: list[Row] = [{**resident(ADA), "_op": "U", "_seq": n} for n in (1, 2)]

        assert 1 == checked(rows, mode="changes").counts["duplicate"]


class TestDrift:
    def columns(self, **changed: str | None) -> dict[str, str]:
        agreed = dict.fromkeys(manifest("residents").source_columns, "string")
        return {name: kind for name, kind in {**agreed, **changed}.items() if kind}

    def test_none(self) -> None:
        """The columns agreed on pass, with those that a change log adds."""
        check_columns(self.columns(_op="string", _seq="int64"), None, manifest("residents"))

    def test_missing_new_and_retyped_are_named(self) -> None:
        """The diff is what the engineer takes to the department."""
        with pytest.raises(Drifted) as caught:
            check_columns(
                self.columns(XM=None, WX="string", CSRQ="date32[day]"),
                self.columns(),
                manifest("residents"),
            )

        assert ["missing XM", "new WX", "retyped CSRQ from string to date32[day]"] == (
            caught.value.diff
        )

    def test_a_source_that_may_evolve_may_add(self) -> None:
        """What is new is not taken, and stops nothing."""
        evolving = manifest("residents").model_copy(update={"may_evolve": True})

        check_columns(self.columns(WX="string"), None, evolving)

    def test_a_manifest_must_feed_what_there_is(self) -> None:
        """A field that the contract does not have is the manifest's mistake."""
        lost = manifest("residents").model_copy(update={"columns": {"GMSFHM": "soul"}})

        with pytest.raises(Invalid, match="feeds soul"):
            Check(load("population.resident"), lost, "snapshot")


class TestWhole:
    def test_every_row_has_one_place(self) -> None:
        """Whatever is sent is staged, doubled, superseded or refused, once."""
        rows = [
            resident(ADA),
            resident(ADA),
            resident(BEN, "甲"),
            resident(BEN, "乙"),
            resident(BEN, XBDM="?"),
            {**resident(ADA), "GMSFHM": None},
        ]

        result = checked(rows)

        places = ("duplicate", "superseded", "quarantined", "removals")
        assert len(rows) == result.tally.holding + sum(result.counts[place] for place in places)
        assert result.staged.select(pl.struct("resident_id").is_unique().all()).item()
