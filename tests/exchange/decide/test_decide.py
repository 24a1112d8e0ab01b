"""The one decision, and the promise that no mode discloses more than the grant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import decide as deciding
from exchange import forms
from exchange.decide import Allowed, Question, Refused, Rule, Spent, decide, objections
from exchange.forms import Verdict
from schemas import contract
from schemas.consent import Consent, Every, GivenAs, Mandate, Shown
from schemas.grant import Authority, Form, Grant, Mode, Needs

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
WHY = Authority("核验", "条例第十八条", "item-1", "case-1", "officer-1")
NONE_SPENT = Spent(1, 1, 1)
GRANT = Grant(
    id="g",
    client="c",
    resource="population.resident",
    purposes=frozenset({"核验"}),
    bases=frozenset({"条例第十八条"}),
    items=frozenset({"item-1"}),
    fields={
        "name": Form.PLAIN,
        "phone": Form.MASKED,
        "birth_date": Form.COMPARE,
        "age_at_least(18)": Form.PREDICATE,
    },
    modes=frozenset(Mode),
    valid_from=AT - timedelta(days=1),
    valid_to=AT + timedelta(days=1),
    per_minute=10,
    per_day=100,
    file_number="f",
    row_filter={"household_division": ("110105",)},
    max_uses=5,
)
QUERY = Question("c", "population.resident", Mode.QUERY, ("name",), WHY)
VERIFY = replace(QUERY, mode=Mode.VERIFY)
PREDICATE = replace(QUERY, mode=Mode.PREDICATE)
CONSENTED = replace(GRANT, needs=Needs.CONSENT)
MANDATE = Mandate(
    id="m",
    kind=GivenAs.AGENT,
    principal_type="cn.resident_id",
    principal=b"p",
    agent=b"a",
    items=frozenset({"item-1"}),
    resources=frozenset({"population.resident"}),
    valid_from=AT - timedelta(days=1),
    valid_to=AT + timedelta(days=1),
    evidence="委托书〔2026〕3号",
)
CONSENT = Consent(
    id="k",
    subject_type="cn.resident_id",
    subject=b"p",
    given_as=GivenAs.AGENT,
    client="c",
    resource="population.resident",
    fields=frozenset({"name", "birth_date"}),
    purposes=frozenset({"核验"}),
    items=frozenset({"item-1"}),
    valid_from=AT - timedelta(days=1),
    valid_to=AT + timedelta(days=1),
    max_uses=3,
    every=Every.DAY,
    per_every=2,
    mandate=MANDATE,
)
SHOWN = Shown(CONSENT, of_subject=True, uses=1, period_uses=1)


def given_with(**changes: Any) -> Shown:
    """The usual consent, with changes."""
    return replace(SHOWN, consent=replace(CONSENT, **changes))


class TestAllows:
    def test_what_was_granted(self) -> None:
        """The fields asked for, each in its form, and only the rows of the filter."""
        verdict = decide(GRANT, replace(QUERY, fields=("name", "phone")), NONE_SPENT, AT)

        assert verdict == Allowed(
            ("name", "phone"),
            {"name": Form.PLAIN, "phone": Form.MASKED},
            {"household_division": ("110105",)},
        )

    def test_the_last_call_of_a_quota(self) -> None:
        """A quota of ten is ten calls, not nine."""
        assert isinstance(decide(GRANT, QUERY, Spent(10, 100, 5), AT), Allowed)

    def test_the_first_moment(self) -> None:
        """A grant holds from its first moment on."""
        assert isinstance(decide(GRANT, QUERY, NONE_SPENT, GRANT.valid_from), Allowed)


class TestRefuses:
    @pytest.mark.parametrize(
        ("rule", "grant", "question", "spent", "at"),
        [
            (Rule.SUSPENDED, replace(GRANT, suspended_at=AT), QUERY, NONE_SPENT, AT),
            (Rule.SUNSET, replace(GRANT, sunset_at=AT), QUERY, NONE_SPENT, AT),
            (Rule.CONSENT, CONSENTED, QUERY, NONE_SPENT, AT),
            (Rule.NO_GRANT, None, QUERY, NONE_SPENT, AT),
            (Rule.NO_GRANT, GRANT, replace(QUERY, client="another"), NONE_SPENT, AT),
            (Rule.NO_GRANT, GRANT, replace(QUERY, resource="x.y"), NONE_SPENT, AT),
            (Rule.REVOKED, replace(GRANT, revoked_at=AT), QUERY, NONE_SPENT, AT),
            (Rule.NOT_YET, GRANT, QUERY, NONE_SPENT, AT - timedelta(days=2)),
            (Rule.EXPIRED, GRANT, QUERY, NONE_SPENT, GRANT.valid_to),
            (Rule.MODE, replace(GRANT, modes=frozenset({Mode.VERIFY})), QUERY, NONE_SPENT, AT),
            (Rule.PURPOSE, replace(GRANT, purposes=frozenset()), QUERY, NONE_SPENT, AT),
            (Rule.BASIS, replace(GRANT, bases=frozenset({"x"})), QUERY, NONE_SPENT, AT),
            (Rule.ITEM, replace(GRANT, items=frozenset({"x"})), QUERY, NONE_SPENT, AT),
            (Rule.FIELD, GRANT, replace(QUERY, fields=("name", "sex")), NONE_SPENT, AT),
            (Rule.FIELD, GRANT, replace(QUERY, fields=()), NONE_SPENT, AT),
            (Rule.COMPARE_ONLY, GRANT, replace(QUERY, fields=("birth_date",)), NONE_SPENT, AT),
            (Rule.MASKED_ONLY, GRANT, replace(VERIFY, fields=("phone",)), NONE_SPENT, AT),
            (
                *(Rule.PREDICATE_ONLY, GRANT, replace(QUERY, fields=("age_at_least(18)",))),
                *(NONE_SPENT, AT),
            ),
            (Rule.FIELD, GRANT, replace(PREDICATE, fields=("name",)), NONE_SPENT, AT),
            (Rule.MINUTE, GRANT, QUERY, Spent(11, 11, 1), AT),
            (Rule.DAY, GRANT, QUERY, Spent(1, 101, 1), AT),
            (Rule.USES, GRANT, QUERY, Spent(1, 1, 6), AT),
            (Rule.MISSES, GRANT, QUERY, Spent(1, 1, 1, misses_left=0), AT),
        ],
    )
    def test_names_the_rule(
        self, rule: Rule, grant: Grant | None, question: Question, spent: Spent, at: datetime
    ) -> None:
        """Each rule refuses alone, and says which it is."""
        assert decide(grant, question, spent, at) == Refused(rule)

    def test_every_rule_is_tried(self) -> None:
        """No rule is forgotten by the table above."""
        table = self.test_names_the_rule.pytestmark[0].args[1]  # type: ignore[attr-defined]
        of_consents = TestConsent.test_names_the_rule.pytestmark[0].args[1]  # type: ignore[attr-defined]

        assert set(Rule) == {row[0] for row in (*table, *of_consents)}

    def test_every_mode_has_its_forms(self) -> None:
        """No mode shows a form that nobody decided on."""
        assert set(Mode) == set(deciding.SHOWN)


class TestConsent:
    @pytest.mark.parametrize(
        ("rule", "shown"),
        [
            (Rule.CONSENT, None),
            (Rule.CONSENT_SUBJECT, replace(SHOWN, of_subject=False)),
            (Rule.CONSENT_WITHDRAWN, given_with(withdrawn_at=AT)),
            (Rule.CONSENT_PERIOD, given_with(valid_to=AT)),
            (Rule.CONSENT_PERIOD, given_with(valid_from=AT + timedelta(seconds=1))),
            (Rule.CONSENT_SCOPE, given_with(fields=frozenset({"birth_date"}))),
            (Rule.CONSENT_SCOPE, given_with(purposes=frozenset({"营销"}))),
            (Rule.CONSENT_SCOPE, given_with(items=frozenset({"item-2"}))),
            (Rule.CONSENT_SCOPE, given_with(client="another")),
            (Rule.CONSENT_SCOPE, given_with(resource="x.y")),
            (Rule.MANDATE, given_with(mandate=replace(MANDATE, ended_at=AT))),
            (Rule.MANDATE, given_with(mandate=replace(MANDATE, valid_to=AT))),
            (Rule.CONSENT_USES, replace(SHOWN, uses=4)),
            (Rule.CONSENT_USES, replace(SHOWN, period_uses=3)),
        ],
    )
    def test_names_the_rule(self, rule: Rule, shown: Shown | None) -> None:
        """Each refuses alone; a grant that needs no consent does not look at it."""
        assert Refused(rule) == decide(CONSENTED, QUERY, NONE_SPENT, AT, shown)
        assert isinstance(decide(GRANT, QUERY, NONE_SPENT, AT, shown), Allowed)

    def test_the_last_use_of_a_consent(self) -> None:
        """Three uses are three, two a day are two."""
        last = replace(SHOWN, uses=3, period_uses=2)

        assert isinstance(decide(CONSENTED, QUERY, NONE_SPENT, AT, last), Allowed)

    def test_a_consent_is_no_grant(self) -> None:
        """Who agrees to more than was granted changes nothing."""
        phone = replace(QUERY, fields=("sex",))
        shown = given_with(fields=frozenset({"sex"}))

        assert Refused(Rule.FIELD) == decide(CONSENTED, phone, NONE_SPENT, AT, shown)


class TestObjections:
    def test_all_that_refuses_is_said(self) -> None:
        """The first is what `decide` answers."""
        grant = replace(CONSENTED, suspended_at=AT, valid_to=AT, purposes=frozenset())
        found = objections(grant, replace(QUERY, fields=("sex",)), Spent(11, 1, 1), AT)

        assert found == (
            Rule.SUSPENDED,
            Rule.EXPIRED,
            Rule.PURPOSE,
            Rule.FIELD,
            Rule.CONSENT,
            Rule.MINUTE,
        )
        assert Refused(found[0]) == decide(grant, QUERY, NONE_SPENT, AT)


FIELDS = ("name", "phone", "birth_date", "sex", "resident_id")
texts = st.text(min_size=1, max_size=20)
grants = st.builds(
    lambda fields, modes, rest: replace(GRANT, fields=fields, modes=modes, **rest),
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(Form)),
    st.frozensets(st.sampled_from(Mode)),
    st.fixed_dictionaries(
        {
            "purposes": st.sampled_from([frozenset({"核验"}), frozenset()]),
            "revoked_at": st.sampled_from([None, AT]),
            "valid_to": st.sampled_from([AT, AT + timedelta(days=1)]),
            "per_minute": st.integers(0, 3),
        }
    ),
)
questions = st.builds(
    lambda mode, fields: replace(QUERY, mode=mode, fields=tuple(fields)),
    st.sampled_from(Mode),
    st.lists(st.sampled_from(FIELDS), max_size=5, unique=True),
)
rows = st.fixed_dictionaries(
    {name: st.text("甲乙丙丁ABCDEF0123456789", min_size=6, max_size=12) for name in FIELDS}
).map(lambda row: {**row, "_as_of": AT})


class TestNoModeDisclosesMoreThanTheGrant:
    @given(grants, questions, st.integers(1, 4))
    def test_allowed_means_granted(self, grant: Grant, question: Question, minute: int) -> None:
        """Whatever is allowed stands in a grant that holds, in a form that the mode may show."""
        verdict = decide(grant, question, Spent(minute, 1, 1), AT)

        if isinstance(verdict, Allowed):
            assert grant.revoked_at is None
            assert AT < grant.valid_to
            assert question.mode in grant.modes
            assert question.authority.purpose in grant.purposes
            assert minute <= grant.per_minute
            assert set(verdict.fields) == set(question.fields) <= set(grant.fields)
            assert all(verdict.forms[name] is grant.fields[name] for name in verdict.fields)
            assert set(verdict.forms.values()) <= deciding.SHOWN[question.mode]
            assert verdict.row_filter == grant.row_filter

    @given(grants, questions, rows)
    def test_what_comes_out(self, grant: Grant, question: Question, row: dict[str, Any]) -> None:
        """Only a plain field leaves whole; a masked one never; a comparison is one of three words.

        What verify confirms, the grant lets be compared or read.
        """
        verdict = decide(grant, question, NONE_SPENT, AT)
        if not isinstance(verdict, Allowed):
            return

        if question.mode is Mode.QUERY:
            shown = forms.values(contract.load("population.resident"), verdict, [row])
            for name, value in shown.items():
                assert grant.fields[name] is not Form.COMPARE
                assert (value.value == row[name]) == (grant.fields[name] is Form.PLAIN)
        if question.mode is Mode.VERIFY:
            told = forms.verdicts({name: row[name] for name in verdict.fields}, [row])
            assert set(told.values()) <= set(Verdict)
            assert all(grant.fields[name] is not Form.MASKED for name in told)


class TestMasked:
    @pytest.mark.parametrize(
        ("value", "left"),
        [
            ("李", "*"),
            ("李建国", "李**"),
            ("11010519491231002X", "1" + "*" * 16 + "X"),
            ("13800138000", "1*********0"),
            (date(1949, 12, 31), "***"),
            (Decimal("12.50"), "***"),
            (True, "***"),
            (None, None),
        ],
    )
    def test_keeps_little(self, value: object, left: object) -> None:
        """Enough to compare by eye, too little to use."""
        assert left == forms.masked(value)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("claim", "held", "verdict"),
        [
            ("李建国", "李建国", Verdict.MATCH),
            (" 李建国　", "李建国", Verdict.MATCH),
            ("１１０１０５", "110105", Verdict.MATCH),
            ("李建华", "李建国", Verdict.MISMATCH),
            ("1949-12-31", date(1949, 12, 31), Verdict.MATCH),
            ("1949-12-30", date(1949, 12, 31), Verdict.MISMATCH),
            (89.5, Decimal("89.50"), Verdict.MATCH),
            ("89.50", Decimal("89.5"), Verdict.MATCH),
            ("NaN", Decimal("89.5"), Verdict.MISMATCH),
            ("x", Decimal("89.5"), Verdict.MISMATCH),
            (True, True, Verdict.MATCH),
            (1, True, Verdict.MISMATCH),
            (False, None, Verdict.CANNOT_SAY),
        ],
    )
    def test_compares_meaning(self, claim: object, held: object, verdict: Verdict) -> None:
        """Width, spaces and trailing zeros are no difference; a missing value says nothing."""
        assert {"f": verdict} == forms.verdicts({"f": claim}, [{"f": held}])

    def test_nobody_there(self) -> None:
        """Without a row nothing can be said, not even that the claim is wrong."""
        assert {"f": Verdict.CANNOT_SAY} == forms.verdicts({"f": "x"}, [])

    def test_one_row_of_many_is_enough(self) -> None:
        """A subject with two homes owns each of them."""
        assert {"f": Verdict.MATCH} == forms.verdicts({"f": "b"}, [{"f": "a"}, {"f": "b"}])
