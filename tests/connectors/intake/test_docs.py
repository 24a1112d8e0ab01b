"""The page about intake says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.intake.words import WHYS

PAGE = (Path(__file__).parents[3] / "docs" / "intake.md").read_text("utf-8")


class TestPage:
    def test_its_example_runs(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A newcomer gets what the page says."""
        (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

        exec(compile(example, "docs/intake.md", "exec"), {"__name__": "example"})

        assert "仍需申请人办理              12" in capsys.readouterr().out

    def test_its_vocabulary_is_the_code_s(self) -> None:
        """Every status and reason, and no other."""
        told = {
            status: set(re.findall(r"`(\w+)`", whys))
            for status, whys in re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE)
        }

        assert {status.value: {why.value for why in whys} for status, whys in WHYS.items()} == told
