"""Merging two numbers, taking it back, and what look-ups say after any number of both."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.identity import decisions, resolving, review
from exchange.identity.resolving import Ambiguous, resolve
from exchange.identity.review import Pair, State
from exchange.libraries import aliases
from schemas.errors import Invalid, NotFound, WrongState
from schemas.grant import Subject
from tests.exchange.identity.conftest import number

ADA, BEN, CAI, DAN = (number(sequence) for sequence in (2, 4, 6, 8))
OLD_ADA = "110105491231002"
WHY: Any = {"by": "李科长", "reason": "经核实为同一人"}


def person(text: str) -> Subject:
    return Subject("cn.resident_id", text)


def means(conn: psycopg.Connection, text: str, at: datetime | None = None) -> str:
    """Whom a number means, by the resolver; the joins' table must say the same of now."""
    said = resolve(conn, person(text), at).subject.id
    if at is None:
        row = conn.execute("SELECT library.subject_of('resident', %s)", (text,)).fetchone()
        assert row is not None
        assert row[0] in {said, text if len(text) == 15 else said}
    return said


def now(conn: psycopg.Connection) -> datetime:
    row = conn.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    assert isinstance(row[0], datetime)
    return row[0]


class TestMerge:
    def test_one_number_stands_for_the_other(self, conn: psycopg.Connection) -> None:
        """From now on both mean the same, and the alias says by which decision."""
        decision = decisions.merge(conn, "resident", BEN, ADA, **WHY)

        found = resolve(conn, person(BEN))

        assert ADA == found.subject.id == means(conn, ADA)
        (alias,) = found.through
        assert (decision.id, "merged", "decision") == (alias.decision, alias.rule, alias.source)

    def test_chains_are_followed(self, conn: psycopg.Connection) -> None:
        """Fifteen digits, the number made of them, and the one that this was merged into."""
        aliases.keep(conn, [("resident", OLD_ADA, ADA)], "rights")
        decisions.merge(conn, "resident", ADA, BEN, **WHY)
        decisions.merge(conn, "resident", BEN, CAI, **WHY)

        found = resolve(conn, person(OLD_ADA))

        assert CAI == found.subject.id == means(conn, OLD_ADA)
        assert ["fifteen-digits", "merged", "merged"] == [each.rule for each in found.through]

    def test_fifteen_digits_nobody_reported(self, conn: psycopg.Connection) -> None:
        """What arithmetic makes of them may have been merged all the same."""
        decisions.merge(conn, "resident", ADA, BEN, **WHY)

        assert BEN == resolve(conn, person(OLD_ADA)).subject.id

    @pytest.mark.parametrize(
        ("pairs", "error"),
        [
            ([(ADA, ADA)], Invalid),
            ([(ADA, BEN), (BEN, ADA)], WrongState),
            ([(ADA, BEN), (BEN, CAI), (CAI, ADA)], WrongState),
            ([(ADA, BEN), (ADA, CAI)], WrongState),
            ([(ADA, BEN[:-1] + "?")], Invalid),
        ],
        ids=["itself", "back", "circle", "twice", "wrong"],
    )
    def test_what_cannot_be(
        self, conn: psycopg.Connection, pairs: list[tuple[str, str]], error: type[Exception]
    ) -> None:
        """A circle is never made, a number stands for one, and a wrong one is stood for by none."""
        *before, (last, into) = pairs
        for merged, kept in before:
            decisions.merge(conn, "resident", merged, kept, **WHY)

        with pytest.raises(error) as refused:
            decisions.merge(conn, "resident", last, into, **WHY)

        assert not any(each in str(refused.value) for pair in pairs for each in pair)

    def test_nobody_decides_without_a_reason(self, conn: psycopg.Connection) -> None:
        """Who and why are kept, so they are asked for."""
        with pytest.raises(Invalid, match="say who"):
            decisions.merge(conn, "resident", ADA, BEN, by="李", reason=" ")


class TestUnmerge:
    def test_everything_is_as_before(self, conn: psycopg.Connection) -> None:
        """What was merged into the number meanwhile stays with it; both decisions are kept."""
        decisions.merge(conn, "resident", CAI, BEN, **WHY)
        merged = decisions.merge(conn, "resident", BEN, ADA, **WHY)
        decisions.merge(conn, "resident", DAN, BEN, **WHY)

        ended = decisions.unmerge(conn, "resident", BEN, by="王", reason="误并")

        assert (BEN, BEN, BEN, ADA) == tuple(means(conn, each) for each in (BEN, CAI, DAN, ADA))
        taken = decisions.taken(conn, "resident", ADA)
        assert [merged.id, ended.id] == [each.id for each in taken]
        (alias,) = resolving.of(conn, "resident", ADA)
        assert (merged.id, ended.id) == (alias.decision, alias.ended_by)

    def test_the_past_stays_as_it_was(self, conn: psycopg.Connection) -> None:
        """At each moment, what was in force then."""
        before = now(conn)
        decisions.merge(conn, "resident", BEN, ADA, **WHY)
        merged = now(conn)
        decisions.unmerge(conn, "resident", BEN, **WHY)
        between = now(conn)
        decisions.merge(conn, "resident", BEN, CAI, **WHY)

        at = [means(conn, BEN, moment) for moment in (before, merged, between, now(conn))]

        assert [BEN, ADA, BEN, CAI] == at

    def test_nothing_to_take_back(self, conn: psycopg.Connection) -> None:
        """A number that stands for itself cannot be unmerged."""
        with pytest.raises(NotFound):
            decisions.unmerge(conn, "resident", ADA, **WHY)

    def test_a_batch_is_not_believed_again(self, conn: psycopg.Connection) -> None:
        """A person who ends what a source said need not do so after every batch."""
        claim = [("resident", OLD_ADA, BEN)]
        aliases.keep(conn, claim, "rights")
        decisions.unmerge(conn, "resident", OLD_ADA, **WHY)

        assert 0 == aliases.keep(conn, claim, "rights")
        assert ADA == means(conn, OLD_ADA)


class TestAmbiguity:
    def test_two_claims_are_refused(self, conn: psycopg.Connection) -> None:
        """Nobody chooses between two persons."""
        claims = [("resident", OLD_ADA, ADA), ("resident", OLD_ADA, BEN)]
        assert 2 == aliases.keep(conn, claims, "rights")

        with pytest.raises(Ambiguous):
            resolve(conn, person(OLD_ADA))
        assert [ADA, BEN] == aliases.subjects(conn, "resident", OLD_ADA)

    def test_two_claims_that_became_one(self, conn: psycopg.Connection) -> None:
        """Two claimants who turn out to be one person leave nothing to choose."""
        claims = [("resident", OLD_ADA, ADA), ("resident", OLD_ADA, BEN)]
        aliases.keep(conn, claims, "rights")
        decisions.merge(conn, "resident", BEN, ADA, **WHY)

        assert ADA == means(conn, OLD_ADA)

    def test_a_circle_of_claims_is_refused(self, conn: psycopg.Connection) -> None:
        """Batches may say anything; a circle leads to nobody, and ends."""
        circle = [("resident", BEN, CAI), ("resident", CAI, BEN), ("resident", ADA, BEN)]
        aliases.keep(conn, circle, "nonsense")

        for each in (ADA, BEN, CAI):
            with pytest.raises(Ambiguous):
                resolve(conn, person(each))
        with pytest.raises(Ambiguous):
            decisions.merge(conn, "resident", DAN, BEN, **WHY)

    def test_same_for_two_sources(self, conn: psycopg.Connection) -> None:
        """Two testimonies of one alias are no ambiguity, and each is kept."""
        claim = [("resident", OLD_ADA, ADA)]

        assert (1, 1, 0) == tuple(aliases.keep(conn, claim, source) for source in "aba")
        assert ADA == means(conn, OLD_ADA)


NUMBERS = tuple(number(2 * sequence) for sequence in range(1, 7))
DEEDS = st.one_of(
    st.tuples(st.just("merge"), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS)),
    st.tuples(st.just("unmerge"), st.sampled_from(NUMBERS), st.none()),
)


class Oracle:
    """What look-ups must say: one arrow a number at most, never in a circle."""

    def __init__(self) -> None:
        self.arrows: dict[str, str] = {}

    def end(self, text: str) -> str:
        return self.end(self.arrows[text]) if text in self.arrows else text

    def does(self, deed: str, text: str, into: str | None) -> bool:
        if deed == "unmerge":
            return self.arrows.pop(text, None) is not None
        assert into is not None
        if text in self.arrows or self.end(into) == text:
            return False
        self.arrows[text] = into
        return True


def done(conn: psycopg.Connection, deed: str, text: str, into: str | None) -> bool:
    try:
        with conn.transaction():
            if into is None:
                decisions.unmerge(conn, "resident", text, **WHY)
            else:
                decisions.merge(conn, "resident", text, into, **WHY)
    except (Invalid, WrongState):
        return False
    return True


class TestAnySequence:
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(DEEDS, max_size=14))
    def test_look_ups_say_what_the_oracle_says(
        self, conn: psycopg.Connection, deeds: list[tuple[str, str, str | None]]
    ) -> None:
        """After every merge and unmerge, for every number, and for every moment in between."""
        conn.rollback()  # each example begins with no alias,
        conn.execute("SELECT")  # in a transaction that is never committed
        oracle, told = Oracle(), list[tuple[datetime, dict[str, str]]]()
        for deed in deeds:
            assert oracle.does(*deed) == done(conn, *deed), deed
            ends = {each: oracle.end(each) for each in NUMBERS}
            assert ends == {each: means(conn, each) for each in NUMBERS}
            told.append((now(conn), ends))
        for moment, ends in told[::4]:
            assert ends == {each: means(conn, each, moment) for each in NUMBERS}


class TestReview:
    PAIR = Pair("resident", BEN, ADA, 0.97, {"name": "same"})

    def proposed(self, conn: psycopg.Connection) -> int:
        assert 1 == review.propose(conn, "residents", [self.PAIR])
        (found,) = review.waiting(conn)
        return found.id

    def test_confirming_merges(self, conn: psycopg.Connection) -> None:
        """The alias has the decision as its evidence, and the decision the proposal."""
        proposal = self.proposed(conn)

        decision = decisions.confirm(conn, proposal, **WHY)

        assert ADA == means(conn, BEN)
        assert ("confirm", proposal) == (decision.deed, decision.candidate)
        assert State.CONFIRMED is review.get(conn, proposal).state

    def test_the_other_one_may_stay(self, conn: psycopg.Connection) -> None:
        """Which number was right is the person's to say."""
        decisions.confirm(conn, self.proposed(conn), swap=True, **WHY)

        assert BEN == means(conn, ADA)

    def test_rejected_is_remembered(self, conn: psycopg.Connection) -> None:
        """The pair is not proposed again, in either order, and not judged again."""
        proposal = self.proposed(conn)
        decisions.reject(conn, proposal, **WHY)

        turned = Pair("resident", ADA, BEN, 0.99, {})
        assert 0 == review.propose(conn, "residents", [self.PAIR, turned])
        assert [] == review.waiting(conn)
        with pytest.raises(WrongState):
            decisions.confirm(conn, proposal, **WHY)

    def test_unmerging_rejects(self, conn: psycopg.Connection) -> None:
        """A pair that was confirmed by mistake is not proposed again."""
        proposal = self.proposed(conn)
        decisions.confirm(conn, proposal, **WHY)

        decisions.unmerge(conn, "resident", BEN, **WHY)

        assert State.REJECTED is review.get(conn, proposal).state
        assert ["confirm", "unmerge"] == [
            each.deed for each in decisions.taken(conn, "resident", BEN)
        ]

    def test_what_is_merged_is_not_proposed(self, conn: psycopg.Connection) -> None:
        """A pair that means one person already is no question."""
        decisions.merge(conn, "resident", ADA, BEN, **WHY)

        assert 0 == review.propose(conn, "residents", [self.PAIR])


class TestClaimsOfBatches:
    def test_a_number_with_a_row_of_its_own_is_only_proposed(
        self, conn: psycopg.Connection
    ) -> None:
        """No department takes another's person over by a column of its own."""
        conn.execute(
            "INSERT INTO library.population_resident"
            " (resident_id, name, sex, birth_date, deceased, changed_at, _batch, _since)"
            " VALUES (%s, '某人', '1', '1949-12-31', false, now(), 1, now())",
            (BEN,),
        )

        assert 0 == aliases.keep(conn, [("resident", BEN, ADA)], "rights")

        assert BEN == means(conn, BEN)
        (proposal,) = review.waiting(conn)
        assert (BEN, ADA, "former-number") == (proposal.number, proposal.subject, proposal.study)
