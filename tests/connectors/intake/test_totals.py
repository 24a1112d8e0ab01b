"""The totals of the published table, by its counting rule, and what the real sources give."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.intake.savings import RowState
from tests.connectors.intake.holdings import (
    BUNDLE,
    Holdings,
    a_request,
    real,
    resolved,
    standing,
    table,
    with_planned,
)

ALL_LIVE = with_planned()
COMMITTED: dict[str, Any] = {"commitments": ["water-test"]}


def left(made: Any) -> list[str]:
    """The rows for which something must be brought, forms apart."""
    return [row for row, state in made.row_states.items() if state is RowState.TO_BRING]


class TestAsTheTableSays:
    def test_own_premises_eleven_left(self) -> None:
        """27 rows and 6 forms become one form and ten documents."""
        made = resolved(a_request(**COMMITTED), table(), ALL_LIVE)

        assert ["A2", "A4", "B3", "B4", "C3", "C4", "D4", "D5", "E4", "E5"] == left(made)
        assert (27, 11) == (made.savings.listed, made.savings.applicant_must_bring)
        assert (6, 1, 5) == (
            made.savings.forms_before,
            made.savings.forms_after,
            made.savings.departments,
        )

    def test_leased_premises_fourteen_left(self) -> None:
        """A lease that is not filed, the owner's consent, and no archive: three more."""
        made = resolved(a_request(tenure="leased", **COMMITTED), real(leased=True), ALL_LIVE)

        assert {"A6", "D3", "E6"} == set(left(made)) - set(
            left(resolved(a_request(**COMMITTED), table(), ALL_LIVE))
        )
        assert 14 == made.savings.applicant_must_bring

    def test_nothing_resolvable_eighteen_left(self) -> None:
        """With nothing held but the result of item A and the merged form, 18 are left, or 17 with
        the water test by commitment."""
        made = resolved(a_request(), Holdings())

        assert 17 == made.savings.applicant_must_bring
        assert "E7" not in left(made)

    def test_an_agent_adds_four_rows_and_one_paper(self) -> None:
        """31 rows; the agent's identity is looked up, and one delegation serves both items."""
        made = resolved(a_request(agent=True), table(), ALL_LIVE)
        without = resolved(a_request(), table(), ALL_LIVE)

        assert 31 == made.savings.listed
        assert 2 == made.savings.applicant_must_bring - without.savings.applicant_must_bring
        assert 1 == made.savings.documents_to_bring - without.savings.documents_to_bring

    def test_an_individual_has_25_rows(self) -> None:
        """The individual's variant has four rows for registration in place of six."""
        made = resolved(a_request(kind="individual"), table(), ALL_LIVE)

        assert 25 == made.savings.listed
        assert {"I1", "I2", "I3", "I4"} == {row for row in made.row_states if row[0] == "I"}

    @pytest.mark.parametrize("tenure", ["own", "leased"])
    def test_every_row_is_accounted_for(self, tenure: str) -> None:
        """Listed rows are supplied, merged away, still open, or left: nothing vanishes."""
        savings = resolved(a_request(tenure=tenure, agent=True), table(), ALL_LIVE).savings

        merged_away = savings.forms_before - savings.forms_after
        parts = (savings.supplied_by_hub, merged_away, savings.still_open)
        assert savings.listed == sum(parts) + savings.applicant_must_bring

    def test_a_row_that_no_guide_confirms_is_no_evidence(self) -> None:
        """Savings are told per label."""
        savings = resolved(a_request(), table(), ALL_LIVE).savings

        assert {"listed": 26, "supplied": 11} == dict(savings.by_label["published"])
        assert {"listed": 1, "supplied": 0} == dict(savings.by_label["to-check"])


class TestAsTheSourcesAre:
    def test_own_premises_twelve_left(self) -> None:
        """No archive is connected, so the report of hidden works is the applicant's; it says so."""
        made = resolved(a_request(**COMMITTED), real())

        assert 12 == made.savings.applicant_must_bring
        assert ("missing", "no_source_holds_it") == standing(made)["M-HIDDEN-WORKS"]
        assert "E6" in left(made)

    def test_leased_premises_fourteen_left(self) -> None:
        """Neither archive nor lease filings are connected: what the table says for that case."""
        made = resolved(a_request(tenure="leased", **COMMITTED), real(leased=True))

        assert 14 == made.savings.applicant_must_bring
        assert ("missing", "no_source_holds_it") == standing(made)["M-LEASE"]

    def test_a_planned_source_is_never_asked(self) -> None:
        """What is not connected is not pretended to have been asked."""
        holdings = real(leased=True)
        resolved(a_request(tenure="leased"), holdings)

        planned = {source.resource for source in BUNDLE.sources if source.state == "planned"}
        assert {"housing.lease", "building.archive"} == planned
        assert not planned & {resource for resource, _, _ in holdings.asked}


class TestConditions:
    @pytest.mark.parametrize(
        ("area", "investment", "jurisdiction", "needed"),
        [
            (50, None, None, False),
            (50.01, None, None, True),
            (None, None, None, True),
            (180, 200_000, "hubei", False),
            (180, 300_001, "hubei", True),
            (301, 0, "hubei", True),
            (180, 300_001, "hunan", False),
            (301, 300_001, "hunan", True),
            (301, None, "hunan", True),
            (100, None, "hunan", False),
            (180, None, "atlantis", True),
        ],
    )
    def test_thresholds_are_the_guides(
        self, area: float | None, investment: int | None, jurisdiction: str | None, needed: bool
    ) -> None:
        """Each guide's threshold; an unanswered one hides nothing; an unknown place gets the
        strictest."""
        request = a_request(investment_yuan=investment)
        request["answers"]["premises"]["floor_area_m2"] = area
        request["jurisdiction"] = jurisdiction

        made = resolved(request, real())

        assert needed is ("C" in made.open_items)
        assert needed is ("C2" in made.row_states)

    def test_below_the_threshold_four_rows_fewer(self) -> None:
        """A small place has 23 rows and 5 forms."""
        request = a_request()
        request["answers"]["premises"]["floor_area_m2"] = 50

        savings = resolved(request, real()).savings

        assert (23, 5) == (savings.listed, savings.forms_before)

    def test_a_place_that_does_not_discharge_needs_no_licence_for_it(self) -> None:
        """Item E falls away, and with it what only it wants."""
        made = resolved(a_request(public_drain=False), real())

        assert ("not_applicable", "item_not_needed") == standing(made)["M-WATER-TEST"]
        assert "E" not in made.open_items
