"""What must be true of any case, tried on many."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.intake.asking import Outcome, RefusedBy, SourceDown
from connectors.intake.document import document
from connectors.intake.resolve import Resolution
from connectors.intake.words import WHYS, Status
from tests.connectors.intake.holdings import (
    AGENT,
    AT,
    BUNDLE,
    COMPANY,
    HOLDING,
    INVESTOR,
    OWNER,
    PARTNER,
    POPULATION,
    REGISTER,
    UNIT,
    Holdings,
    a_license,
    a_request,
    entity,
    person,
    resolved,
    table,
    who,
    with_planned,
)

ALL_LIVE = with_planned()
EVERYTHING = (
    table()
    .plus(POPULATION, PARTNER, person("王五", PARTNER))
    .plus(REGISTER, COMPANY, entity("示范餐饮有限公司", COMPANY))
    .plus(REGISTER, INVESTOR, entity("示范投资有限公司", INVESTOR))
    .plus(HOLDING, COMPANY, a_license("business-license", "7"))
    .plus(HOLDING, COMPANY, a_license("real-estate-certificate", "9"))
    .plus(HOLDING, INVESTOR, a_license("business-license", "10"))
    .plus("housing.lease", UNIT, {"status": "1"})
)
RECORDS = EVERYTHING.each()


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Cases of every shape."""
    people = [who(OWNER), who(PARTNER), who(INVESTOR)]
    request = a_request(
        tenure=draw(st.sampled_from(["own", "leased", None])),
        agent=draw(st.booleans()),
        shareholders=draw(st.lists(st.sampled_from(people), max_size=3)),
        officers=draw(st.lists(st.sampled_from([who(OWNER), who(AGENT)]), max_size=2)),
        kind=draw(st.sampled_from(["company", "individual"])),
        public_drain=draw(st.sampled_from([True, False, None])),
        commitments=draw(st.sampled_from([[], ["water-test"]])),
    )
    if draw(st.booleans()):
        request["subject"]["entity"] = who(COMPANY)
    if draw(st.booleans()):
        request["answers"]["premises"]["floor_area_m2"] = draw(st.sampled_from([30, 180, 900]))
    return request


@st.composite
def cities(draw: st.DrawFn) -> Holdings:
    """Any part of everything, with any sources down or refusing."""
    held = draw(st.lists(st.sampled_from(range(len(RECORDS))), unique=True))
    city = Holdings()
    for number in sorted(held):
        city = city.plus(*RECORDS[number])
    failing = draw(st.dictionaries(st.sampled_from(SOURCES), st.sampled_from(FAILURES), max_size=2))
    return Holdings(city.records, failing)


SOURCES = [source.resource for source in BUNDLE.sources]
FAILURES: list[Outcome] = [
    SourceDown(AT),
    RefusedBy("field-outside-grant"),
    RefusedBy("quota-per-day", True),
]


def answers(made: Resolution) -> dict[str, Any]:
    """What is said of each material, and on which evidence."""
    return {
        one.wanted.id: (one.status, one.why, one.conclusion.option, one.conclusion.finding.evidence)
        for one in made.materials
    }


def resting_on(made: Resolution, resource: str, subject: Any, record: Any) -> set[str]:
    """The materials whose answer cites a record."""
    return {
        one.wanted.id
        for one in made.materials
        for seen in one.conclusion.finding.evidence
        if (seen.resource, seen.subject) == (resource, subject)
        and seen.record in ("", record.get("license_id"))
    }


class TestOneHoldingLess:
    @settings(max_examples=90, deadline=None)
    @given(requests(), cities(), st.data())
    def test_changes_exactly_the_materials_that_rest_on_it(
        self, request: dict[str, Any], city: Holdings, data: st.DataObject
    ) -> None:
        """No more and no fewer, whatever the case."""
        held = [one for one in city.each() if one[0] not in city.instead]
        if not held:
            return
        gone = data.draw(st.sampled_from(range(len(held))))
        before = resolved(request, city, ALL_LIVE)
        after = resolved(request, city.less(*held[gone]), ALL_LIVE)

        said, now = answers(before), answers(after)
        changed = {name for name in said.keys() | now.keys() if said.get(name) != now.get(name)}
        assert resting_on(before, *held[gone]) == changed


class TestAnyCase:
    @settings(max_examples=90, deadline=None)
    @given(requests(), cities())
    def test_keeps_the_promises(self, request: dict[str, Any], city: Holdings) -> None:
        """Words are closed, counts add up, nothing held is asked for, nobody is asked twice."""
        made = resolved(request, city, ALL_LIVE)
        told = document(made)

        asked = [(resource, subject) for resource, subject, _ in city.asked]
        assert len(asked) == len(set(asked))
        for one in told["materials"]:
            assert one["why"] in WHYS[Status(one["status"])]
            if one["status"] in {"satisfied", "pending", "unavailable", "not_applicable"}:
                assert [] == one["ask"]
            else:
                assert one["ask"]
        savings = made.savings
        merged_away = savings.forms_before - savings.forms_after
        parts = savings.supplied_by_hub, merged_away, savings.still_open
        assert savings.listed == sum(parts) + savings.applicant_must_bring
        blocked = {o.status for o in made.materials if o.wanted.material.primary}
        assert made.decision_allowed is not bool(blocked & {Status.UNAVAILABLE, Status.CONTESTED})

    @settings(max_examples=40, deadline=None)
    @given(requests(), cities(), st.sampled_from(SOURCES))
    def test_a_dead_source_changes_only_what_asks_it(
        self, request: dict[str, Any], city: Holdings, dead: str
    ) -> None:
        """Materials that do not try the source stand as before."""
        well = Holdings(city.records, {k: v for k, v in city.instead.items() if k != dead})
        before = answers(resolved(request, well, ALL_LIVE))
        after_all = resolved(
            request, Holdings(well.records, {**well.instead, dead: SourceDown()}), ALL_LIVE
        )

        for one in after_all.materials:
            tries = {tried.finding.resource for tried in one.conclusion.tried}
            if dead not in tries:
                assert before[one.wanted.id] == answers(after_all)[one.wanted.id]
