"""A column says of every value what the single check says of it."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identifier_columns import alias, failed, normalised, valid
from schemas.identifiers import KINDS, InvalidIdentifier
from tests.schemas.numbers import A36, EXAMPLES, FAILING_LICENSE, VALID

NOISE = st.sampled_from("0123456789XxIOSVZ×- \u3000.()（）〔２ａＸ号")


def by_one(kind: str, text: str) -> tuple[str | None, str | None, str | None]:
    """Return (value, alias, failed check) as the single check has it; no value where it fails."""
    try:
        found = KINDS[kind](text)
    except InvalidIdentifier as refused:
        return None, None, refused.check
    return found.value, found.alias, None


def by_column(kind: str, texts: list[str]) -> list[tuple[str | None, str | None, str | None]]:
    """Return the same of a whole column."""
    frame = pl.DataFrame({"raw": texts}, schema={"raw": pl.String}).select(
        pl.when(valid(kind, "raw")).then(normalised(kind, "raw")).alias("value"),
        pl.when(valid(kind, "raw")).then(alias(kind, "raw")).alias("alias"),
        failed(kind, "raw").alias("failed"),
    )
    return frame.rows()


@st.composite
def nearly(draw: st.DrawFn, kind: str) -> str:
    """A valid number, often with one character changed, put in, taken out, or the case lowered."""
    text = draw(VALID[kind])
    place = draw(st.integers(0, len(text) - 1))
    deed = draw(st.sampled_from(["leave", "change", "insert", "drop", "lower", "old"]))
    if deed == "old" and kind == "resident":
        return text[:6] + text[8:17]
    noise = draw(NOISE | st.sampled_from(A36))
    return {
        "change": text[:place] + noise + text[place + 1 :],
        "insert": text[:place] + noise + text[place:],
        "drop": text[:place] + text[place + 1 :],
        "lower": text.lower(),
    }.get(deed, text)


class TestColumn:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    @settings(max_examples=25)
    @given(data=st.data())
    def test_agrees_with_the_single_check(self, kind: str, data: st.DataObject) -> None:
        """Value, alias and the check that failed are the same one by one and all at once."""
        texts = data.draw(st.lists(nearly(kind) | st.text(max_size=30), min_size=1, max_size=30))

        assert [by_one(kind, text) for text in texts] == by_column(kind, texts)

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_agrees_on_the_examples(self, kind: str) -> None:
        """Every public example passes in a column, and an example of another kind does not."""
        texts = [text for each in EXAMPLES.values() for text in each] + [FAILING_LICENSE, ""]

        assert [by_one(kind, text) for text in texts] == by_column(kind, texts)

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_empty_stays_empty(self, kind: str) -> None:
        """An empty value is neither valid nor invalid; whether it may be empty is another rule."""
        frame = pl.DataFrame({"raw": [None]}, schema={"raw": pl.String})

        row = frame.select(
            normalised(kind, "raw").alias("value"),
            valid(kind, "raw").alias("valid"),
            failed(kind, "raw").alias("failed"),
        ).row(0)

        assert (None, None, None) == row

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_column_without_rows(self, kind: str) -> None:
        """A batch may bring nothing."""
        frame = pl.DataFrame({"raw": []}, schema={"raw": pl.String})

        assert 0 == frame.select(valid(kind, "raw"), normalised(kind, "raw").alias("n")).height

    def test_works_lazily(self) -> None:
        """The expressions stand in a lazy plan as well."""
        frame = pl.LazyFrame({"raw": ["110105491231002", "x"]})

        found = frame.filter(valid("resident", "raw")).select(normalised("resident", "raw"))

        assert ["11010519491231002X"] == found.collect().to_series().to_list()
