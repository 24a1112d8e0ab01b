"""The savings receipt on a terminal."""

from __future__ import annotations

from connectors.intake.document import document
from connectors.intake.report import render
from tests.connectors.intake.holdings import (
    OWNER,
    UNIT,
    Holdings,
    a_request,
    real,
    resolved,
)


class TestRender:
    def test_tells_the_numbers_in_both_languages(self) -> None:
        """Listed, supplied, left, forms: the numbers of the answer."""
        text = render(document(resolved(a_request(), real())))

        assert "仍需申请人办理              12  left to the applicant" in text
        assert "申请表                       6 → 1    forms" in text
        assert "□ 需申请人提供  to be brought" in text

    def test_shows_no_personal_value(self) -> None:
        """A terminal's scroll-back is nobody's record."""
        text = render(document(resolved(a_request(), real())))

        assert not [value for value in (OWNER.id, UNIT.id, "张三") if value in text]

    def test_says_when_no_decision_may_be_taken(self) -> None:
        """A dead source blocks the decision."""
        from connectors.intake.asking import SourceDown

        down = Holdings(real().records, {"population.resident": SourceDown()})

        assert "暂不作决定" in render(document(resolved(a_request(), down)))
