"""From an application to a grant or a refusal: by whom, within what, and with which law."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from exchange.agreements import applications, evidence, stored
from exchange.agreements.answerable import NotYours
from exchange.agreements.evidence import By
from exchange.agreements.terms import OutsideVersion
from exchange.catalogue import systems, versions
from schemas.application import State, Terms
from schemas.errors import Invalid, NotFound, Refused, WrongState
from schemas.grant import Form, Needs
from tests.exchange.agreements.agreeing import (
    AT,
    CHIEF,
    FILE,
    HOUSING,
    LAW,
    OFFICER,
    POLICE,
    RESOURCE,
    STRANGER,
    SUPERIOR,
    TERMS,
    granted,
    publish,
    submitted,
)


class TestSubmit:
    def test_it_goes_to_the_source_with_a_clock(self, clerk: psycopg.Connection) -> None:
        """The strictest field asked for says how long the source has, by which law."""
        made = submitted(clerk)

        assert (HOUSING, POLICE, "330784") == (
            made.department,
            made.source_department,
            made.jurisdiction,
        )
        assert ("conditional", 10) == (made.share_class, made.clock_days)
        assert "条例" in made.clock_law
        assert made == stored.find(clerk, made.id)

    def test_unconditional_fields_have_the_short_clock(self, clerk: psycopg.Connection) -> None:
        """Name and birth date alone are answered in one working day."""
        made = submitted(clerk, fields={"name": Form.PLAIN, "birth_date": Form.PLAIN})

        assert ("unconditional", 1) == (made.share_class, made.clock_days)

    @pytest.mark.parametrize(
        "changes",
        [
            {"bases": frozenset({"工作需要"})},
            {"fields": {}},
            {"purposes": frozenset()},
            {"per_minute": 0},
            {"valid_to": AT + timedelta(days=4 * 366)},
            {"said": {"promise": " "}},
            {"file_number": ""},
        ],
    )
    def test_what_is_incomplete_is_not_taken(
        self, clerk: psycopg.Connection, changes: dict[str, Any]
    ) -> None:
        """A law, a period, a promise, a file number: all are needed."""
        with pytest.raises(Invalid):
            submitted(clerk, **changes)

        assert [] == stored.everything(clerk)

    @pytest.mark.parametrize(
        ("changes", "wrong"),
        [
            (
                {"fields": {"shoe_size": Form.PLAIN}},
                "shoe_size: there is no such field",
            ),
            (
                {"fields": {"shoe_size_at_least(42)": Form.PREDICATE}},
                "there is no such field or question",
            ),
            ({"row_filter": {"shoe_size": ("42",)}}, "rows cannot be chosen by shoe_size"),
        ],
    )
    def test_a_version_gives_what_it_gives(
        self, clerk: psycopg.Connection, changes: dict[str, Any], wrong: str
    ) -> None:
        """What it does not give is named."""
        with pytest.raises(OutsideVersion, match=wrong):
            submitted(clerk, **changes)

    def test_a_question_is_asked_for_whole(self, clerk: psycopg.Connection) -> None:
        """Its clock is that of the fields it reads: a birth date is unconditional, death is not."""
        age = submitted(clerk, fields={"age_at_least(18)": Form.PREDICATE})
        alive = submitted(clerk, fields={"alive": Form.PREDICATE}, file_number="建〔2026〕4号")

        assert ("unconditional", "conditional") == (age.share_class, alive.share_class)

    def test_one_file_applies_once(self, clerk: psycopg.Connection) -> None:
        """Until it is taken back."""
        made = submitted(clerk)
        with pytest.raises(WrongState, match="applied for this resource already"):
            submitted(clerk)

        applications.withdraw(clerk, made.id, AT, by=OFFICER, reason="填错")

        assert submitted(clerk).state is State.SUBMITTED

    def test_only_registered_systems_apply(self, clerk: psycopg.Connection) -> None:
        """A client alone is nobody's."""
        systems.retire(clerk, "housing-registration", by=By("admin"), reason="下线")

        with pytest.raises(NotFound, match="not a registered system"):
            submitted(clerk)


class TestApprove:
    def test_the_grant_says_what_was_asked(self, clerk: psycopg.Connection) -> None:
        """Every part of it, the version, and the approval's number."""
        made = granted(clerk)

        held = stored.grant(clerk, made.id)
        assert TERMS == Terms.of(held)
        assert (FILE, "1.0.0", Needs.NOTHING) == (held.file_number, held.version, held.needs)
        application = stored.find(clerk, held.application or "")
        assert (State.GRANTED, made.id) == (application.state, application.grant_id)
        told = evidence.events(clerk, "application", application.id)
        assert ["submit", "approve"] == [event.deed for event in told]

    def test_less_than_asked_cites_a_law(self, clerk: psycopg.Connection) -> None:
        """What is left out is refused, and a refusal has its law."""
        made = submitted(clerk)
        less = replace(TERMS, fields={"name": Form.MASKED})

        with pytest.raises(Invalid, match="cites the law"):
            applications.approve(clerk, made.id, AT, by=CHIEF, file_number=FILE, given=less)
        grant = applications.approve(
            clerk, made.id, AT, by=CHIEF, file_number=FILE, given=less, law=LAW
        )

        assert {"name": Form.MASKED} == stored.grant(clerk, grant.id).fields

    @pytest.mark.parametrize(
        "more",
        [
            {"fields": {"name": Form.PLAIN, "sex": Form.PLAIN}},
            {"fields": {"birth_date": Form.PLAIN}},
            {"per_day": 10_001},
            {"valid_to": TERMS.valid_to + timedelta(days=1)},
            {"items": frozenset({"0100301000", "x"})},
        ],
    )
    def test_never_more_than_asked(self, clerk: psycopg.Connection, more: dict[str, Any]) -> None:
        """Not even with a law."""
        made = submitted(clerk)

        with pytest.raises(Refused, match="or less"):
            applications.approve(
                clerk,
                made.id,
                AT,
                by=CHIEF,
                file_number=FILE,
                given=replace(TERMS, **more),
                law=LAW,
            )

    def test_who_applied_does_not_answer(self, clerk: psycopg.Connection) -> None:
        """Even if the department is right."""
        made = submitted(clerk, by=By(CHIEF.officer, HOUSING))

        with pytest.raises(Refused, match="does not answer"):
            applications.approve(clerk, made.id, AT, by=CHIEF, file_number=FILE)

    @pytest.mark.parametrize("by", [STRANGER, OFFICER, SUPERIOR, By("nobody")])
    def test_only_the_source_answers(self, clerk: psycopg.Connection, by: By) -> None:
        """Not the applicant, not a stranger, not the superior before its time."""
        made = submitted(clerk, by=By("someone", HOUSING))

        for deed in (
            lambda: applications.approve(clerk, made.id, AT, by=by, file_number=FILE),
            lambda: applications.refuse(clerk, made.id, AT, by=by, reason="x", law=LAW),
            lambda: applications.give_back(clerk, made.id, AT, by=by, reason="x"),
        ):
            with pytest.raises(NotYours):
                deed()

    @pytest.mark.parametrize("needs", Needs)
    def test_a_bank_always_needs_a_consent(self, clerk: psycopg.Connection, needs: Needs) -> None:
        """Whatever the approver says."""
        made = submitted(clerk, client="bank")

        grant = applications.approve(clerk, made.id, AT, by=CHIEF, file_number=FILE, needs=needs)

        assert Needs.CONSENT is stored.grant(clerk, grant.id).needs

    def test_a_version_that_will_end_takes_the_grant_along(self, clerk: psycopg.Connection) -> None:
        """Given before or after the notice."""
        before = granted(clerk)
        ends = AT + timedelta(days=90)
        versions.end(clerk, RESOURCE, "1.0.0", ends, AT, by=CHIEF, reason="换版")
        after = granted(clerk, file_number="建〔2026〕4号")

        assert {ends} == {stored.grant(clerk, each.id).sunset_at for each in (before, after)}


class TestRefuse:
    def test_a_refusal_cites_a_law(self, clerk: psycopg.Connection) -> None:
        """A reason alone is not enough."""
        made = submitted(clerk)

        with pytest.raises(Invalid, match="cites the law") as refused:
            applications.refuse(clerk, made.id, AT, by=CHIEF, reason="不便提供", law="内部规定")
        done = applications.refuse(clerk, made.id, AT, by=CHIEF, reason="超出职责", law=LAW)

        assert "law-missing" == refused.value.rule
        assert State.REFUSED is done.state
        assert LAW == evidence.events(clerk, "application", made.id)[-1].law

    def test_an_answer_is_final(self, clerk: psycopg.Connection) -> None:
        """A refused application is not approved later."""
        made = submitted(clerk)
        applications.refuse(clerk, made.id, AT, by=CHIEF, reason="超出职责", law=LAW)

        with pytest.raises(WrongState, match="cannot become granted"):
            applications.approve(clerk, made.id, AT, by=CHIEF, file_number=FILE)
        assert [] == stored.grants_of(clerk, "housing")


class TestReturn:
    def test_it_comes_back_with_a_new_clock(self, clerk: psycopg.Connection) -> None:
        """What was missing is added; the source has its whole time again."""
        made = submitted(clerk)
        applications.give_back(clerk, made.id, AT, by=CHIEF, reason="缺少使用范围")
        later = AT + timedelta(days=3)

        again = applications.resubmit(
            clerk, made.id, replace(TERMS, per_day=100), later, by=OFFICER
        )

        assert (State.SUBMITTED, later) == (again.state, again.clock_started_at)
        assert 100 == stored.find(clerk, made.id).terms.per_day

    def test_it_follows_the_newest_version(self, clerk: psycopg.Connection) -> None:
        """A version that was published meanwhile is the one that is agreed on."""
        made = submitted(clerk)
        applications.give_back(clerk, made.id, AT, by=CHIEF, reason="缺少使用范围")
        publish(clerk, "1.1.0")

        again = applications.resubmit(clerk, made.id, TERMS, AT, by=OFFICER)

        assert "1.1.0" == again.version
