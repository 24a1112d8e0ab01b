"""The bench of the libraries, as small as it goes: that every step of it still works."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.bench import libraries, peers
from tests.bench.alone import Cost, alone
from tests.bench.house import House
from tests.bench.report import Figure
from tests.bench.sides import Comparison, Side

ANSWER = Figure("source_to_answer_s", 20.0, "s", "measured elsewhere")
BY_DLT = {"collect_vs_dlt_best", "collect_vs_dlt_default"}
PROMISED = {
    *BY_DLT,
    "collect_vs_copy",
    "change_cursor_vs_load",
    "change_snapshot_vs_copy",
    "load_growth_10x",
    "lookup_growth_10x",
    "load_peak_mb",
    "source_to_answer_s",
}


class TestMeasure:
    def test_every_figure_is_there_and_says_its_target(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The whole bench runs with two thousand people, loads, changes and look-ups included."""
        for name, said in (("ROWS", "2000"), ("ROUNDS", "1"), ("GROWTH", "2")):
            monkeypatch.setenv(f"YIZHAN_BENCH_{name}", said)
        monkeypatch.setattr("tests.bench.source_to_answer.measure", lambda folder: [ANSWER])
        # A process takes seconds to begin, a checkpoint too, and there are a dozen.
        monkeypatch.setattr(libraries, "alone", lambda deed, *given: deed(*given))
        monkeypatch.setattr(House, "settle", lambda here: None)

        with patch.dict(os.environ):  # sources and dlt are told by it
            found = list(libraries.measure(tmp_path))

        assert PROMISED - (BY_DLT if peers.missing() else set()) == {each.name for each in found}
        for figure in found[:-1]:
            assert figure.value > 0
            assert "target at " in figure.against


class TestAlone:
    def test_a_deed_has_a_process_of_its_own(self) -> None:
        """What it returns comes back; what it raises does too."""
        assert os.getpid() != alone(os.getpid)
        with pytest.raises(ZeroDivisionError):
            alone(divmod, 1, 0)


class TestComparison:
    def test_medians_are_taken_of_the_rounds_own_ratios(self) -> None:
        """Each round holds one against the other before anything is averaged."""
        ours = Side.of("ours", 100, [Cost(4, 1, 0), Cost(40, 1, 0), Cost(5, 1, 0)])
        theirs = Side.of("theirs", 50, [Cost(1, 2, 0), Cost(10, 2, 0), Cost(1, 2, 0)])

        held = Comparison(ours, theirs)

        assert 4 == held.share()
        assert 0.5 == held.rate()
        assert 2 == held.per_row()
        assert "of processors' time 0.5" in held.figure("x", Comparison.share, "").against
