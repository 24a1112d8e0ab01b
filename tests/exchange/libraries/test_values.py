"""Texts of sources as values: what is read quickly is what is read thoroughly."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.libraries import values

MOMENTS = st.builds(
    "{}{}{}{}{}".format,
    st.dates().map(str),
    st.sampled_from("T "),
    st.times().map(lambda time: str(time.replace(microsecond=0))),
    st.sampled_from(["", ".5", ".123456", ".000001"]),
    st.sampled_from(["", "Z", "+00", "+08", "+0800", "+08:00", "-05:30", "+8", "+24:00", " +08"]),
)
SLIPS = st.tuples(st.integers(0, 40), st.text("0123456789-:+TZ. 年", max_size=2))


def slipped(text: str, slip: tuple[int, str]) -> str:
    """The text with something else at one place."""
    place, other = slip
    return text[:place] + other + text[place + len(other) :]


TEXTS = MOMENTS | st.builds(slipped, MOMENTS, SLIPS) | st.none()


class TestMoments:
    @given(st.lists(TEXTS, max_size=40))
    def test_the_quick_way_reads_what_the_thorough_one_does(self, texts: list[str | None]) -> None:
        """Whatever stands in one column together."""
        said = pl.Series("said", texts, pl.String)

        thorough, quick = values._any_moments(said), values._moments(said)
        assert thorough.cast(pl.Int64).to_list() == quick.cast(pl.Int64).to_list()

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-11-22 08:00:00+08", datetime(2026, 11, 22, 0, tzinfo=UTC)),
            ("2026-11-22T08:00:00-05:30", datetime(2026, 11, 22, 13, 30, tzinfo=UTC)),
            ("2026-11-22T08:00:00Z", datetime(2026, 11, 22, 8, tzinfo=UTC)),
            ("2026-11-22 08:00:00.25+08", datetime(2026, 11, 22, 0, 0, 0, 250_000, tzinfo=UTC)),
            ("2026-11-22 08:00:00", datetime(2026, 11, 22, 0, tzinfo=UTC)),  # the clock on the wall
            ("2026-02-30 08:00:00+08", None),
            ("yesterday", None),
            (None, None),
        ],
    )
    def test_of_a_text(self, text: str | None, moment: datetime | None) -> None:
        assert [moment] == values._moments(pl.Series([text], dtype=pl.String)).to_list()

    def test_more_offsets_than_are_read_at_once(self) -> None:
        """The rest is read row by row."""
        ends = [f"{hour:02}:{minute}" for hour in range(12) for minute in (15, 45)]
        texts = [f"2026-11-22 12:00:00+{end}" for end in ends]
        read = values._moments(pl.Series(texts))

        assert 24 == read.n_unique()
        assert datetime(2026, 11, 22, 0, 15, tzinfo=UTC) == read.min()


class TestDates:
    def test_with_dashes_and_without(self) -> None:
        """Both stand in one column of some registers."""
        said = pl.Series(["1990-01-02", "19900102", "1990-13-01", "", None])
        day = date(1990, 1, 2)

        assert [day, day, None, None, None] == values._dates(said).to_list()
