"""Yes-or-no questions of the fixed catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from connectors.client import CallInvalid, CallRefused, Client
from exchange.database import Database, Role
from exchange.modes import predicates as asking
from exchange.subjects import KINDS
from schemas import contract, predicates
from schemas.codes import code_list
from schemas.contract import Contract
from schemas.errors import Invalid
from schemas.grant import Form, Subject
from schemas.predicates import ARGUMENTS, Asked, Predicate
from tests.exchange.hubs import AUTHORITY, LI, RESOURCE, RunningHub

OWNERSHIP = "real_estate_registration.ownership"
MARRIAGE = "population.marriage"
ADULT = "age_at_least(18)"
SAMPLES = {
    "age": "18",
    "years": "3",
    "count": "12",
    "division": "330784",
    "license_type": "11330000X",
}
HOMELESS = "owns_no_home_in(330784)"


def questions() -> Iterator[tuple[Contract, Asked]]:
    """Every question of the catalogue, with an argument that fits."""
    for described in contract.all_contracts():
        for predicate in predicates.of(described).values():
            argument = _sample(predicate)
            text = predicate.name if argument is None else f"{predicate.name}({argument})"
            yield described, predicates.asked(described, text)


def _sample(predicate: Predicate) -> str | None:
    if predicate.argument is None:
        return None
    if predicate.argument.startswith("code:"):
        return next(iter(code_list(predicate.argument.removeprefix("code:")).values))
    return SAMPLES[predicate.argument]


QUESTIONS = list(questions())
NAMES = [f"{described.id}-{asked.predicate.name}" for described, asked in QUESTIONS]


class TestCatalogue:
    def test_every_dataset_that_can_be_asked_answers_some(self) -> None:
        """No dataset with a subject was forgotten."""
        asked = {each.id for each in contract.all_contracts() if KINDS & set(each.subjects)}

        assert asked == set(predicates.catalogue())

    @pytest.mark.parametrize(("described", "asked"), QUESTIONS, ids=NAMES)
    def test_says_what_it_reads(self, described: Contract, asked: Asked) -> None:
        """The columns of its expressions are the ones it names, and none is withheld."""
        said = asked.predicate
        words = set(re.findall(r"[a-z_0-9]+", f"{said.holds} {said.of or ''} {said.by or ''}"))

        assert words & set(described.columns) == set(said.reads)
        assert all(described.field(name).share_class != "withheld" for name in said.reads)

    def test_runs_whole(self, template: Database) -> None:
        """Every question is SQL that the hub's role may run, and answers over nothing at all."""
        with template.connect(Role.HUB) as conn:
            for described, asked in QUESTIONS:
                said = asking.expression(asked, filtered=False)
                row = conn.execute(
                    f"SELECT {said} FROM {described.relation} WHERE false".encode()
                ).fetchone()

                assert (asked.predicate.absent,) == row, asked.text

    @pytest.mark.parametrize(
        "text",
        [
            *("age_at_least", "age_at_least()", "age_at_least(151)", "age_at_least(-1)"),
            *("age_at_least(1e1)", "age_at_least(018)", "alive(1)", "rich", "", "registered_in(3)"),
            *("registered_in(33')", "age_at_least(18); DROP TABLE x", "age_at_least(18)\n"),
        ],
    )
    def test_knows_no_other(self, text: str) -> None:
        """A question that is not in the catalogue, or with an argument that does not fit."""
        assert not predicates.is_question(contract.load(RESOURCE), text)

    def test_arguments_are_letters_and_digits(self) -> None:
        """Whatever an argument is, it cannot leave the quotes that it is put between."""
        for kind, fits in ARGUMENTS.items():
            assert fits(SAMPLES[kind])
            assert not fits("'")


class TestAsk:
    def test_a_granted_question_is_answered(self, hub: RunningHub, client: Client) -> None:
        """Yes or no, with source and date, and the question in the ledger."""
        hub.give(fields={ADULT: Form.PREDICATE, "alive": Form.PREDICATE})

        said = client.predicate(RESOURCE, LI, [ADULT, "alive"], AUTHORITY)

        assert {"yes"} == {each["answer"] for each in said["answers"].values()}
        assert said["answers"]["alive"]["source"]
        entry = hub.entries()[-1]
        assert ("predicate", "answered") == (entry["deed"], entry["decision"])
        assert [ADULT, "alive"] == entry["fields"]
        assert "1949" not in str((said, entry))

    @pytest.mark.parametrize("other", ["age_at_least(17)", "age_at_least(19)", "alive"])
    def test_another_age_is_another_question(
        self, hub: RunningHub, client: Client, other: str
    ) -> None:
        """Nobody finds a birthday by asking every age."""
        hub.give(fields={ADULT: Form.PREDICATE, "birth_date": Form.MASKED})

        with pytest.raises(CallRefused) as refused:
            client.predicate(RESOURCE, LI, [other], AUTHORITY)

        assert "field-outside-grant" == refused.value.rule

    def test_a_column_is_no_question(self, hub: RunningHub, client: Client) -> None:
        """What may be read is not thereby asked."""
        hub.give()

        with pytest.raises(CallInvalid) as refused:
            client.predicate(RESOURCE, LI, ["name"], AUTHORITY)

        assert "predicate-unknown" == refused.value.rule

    def test_a_question_is_no_column(self, hub: RunningHub, client: Client) -> None:
        """Nor is what may be asked thereby read."""
        hub.give(fields={ADULT: Form.PREDICATE})

        with pytest.raises(CallInvalid):
            client.query(RESOURCE, LI, [ADULT], AUTHORITY)
        with pytest.raises(CallRefused):
            client.query(RESOURCE, LI, ["birth_date"], AUTHORITY)

    def test_behind_a_filter_silence_says_nothing(self, hub: RunningHub, client: Client) -> None:
        """Rows that the filter hides may be the ones that would say no."""
        grant = {"resource": OWNERSHIP, "fields": {HOMELESS: Form.PREDICATE}}
        hub.give(**grant)
        hub.give(id="2", purposes=frozenset({"filtered"}), row_filter={"use": ("80",)}, **grant)
        filtered = replace(AUTHORITY, purpose="filtered")

        open_, hidden = (
            client.predicate(OWNERSHIP, LI, [HOMELESS], why)["answers"][HOMELESS]["answer"]
            for why in (AUTHORITY, filtered)
        )

        assert ("yes", "cannot_say") == (open_, hidden)

    def test_a_grant_names_questions_of_the_catalogue(self, hub: RunningHub) -> None:
        """A column in the form `predicate` would be a question that nobody wrote down."""
        with pytest.raises(Invalid, match="as it is asked"):
            hub.give(fields={"birth_date": Form.PREDICATE})


class TestAnswers:
    @pytest.mark.parametrize(
        ("born", "answer"),
        [
            (lambda now: now.replace(year=now.year - 18), "yes"),
            (lambda now: now.replace(year=now.year - 18) + timedelta(days=1), "no"),
        ],
    )
    def test_an_age_is_reached_on_the_birthday(
        self, hub: RunningHub, client: Client, born: Any, answer: str
    ) -> None:
        """By the city's calendar, neither a day earlier nor a day later."""
        hub.give(fields={ADULT: Form.PREDICATE})
        today = (datetime.now(UTC) + timedelta(hours=8)).date()
        _set(hub, "birth_date", born(today))

        assert answer == _answer(client, RESOURCE, ADULT)

    def test_an_unknown_value_says_nothing(self, hub: RunningHub, client: Client) -> None:
        """Neither dead nor alive is known of a person whose row does not say."""
        hub.give(fields={"alive": Form.PREDICATE})
        _set(hub, "deceased", None)

        assert "cannot_say" == _answer(client, RESOURCE, "alive")

    def test_the_newest_registration_counts(self, hub: RunningHub, client: Client) -> None:
        """Married, then divorced, then a marriage that was declared void."""
        hub.give(resource=MARRIAGE, fields={"married_now": Form.PREDICATE})
        said = []
        said.append(_answer(client, MARRIAGE, "married_now"))
        for number, status, record in (("1", "21", "1"), ("2", "40", "1"), ("3", "22", "3")):
            _marry(hub, number, status, record)
            said.append(_answer(client, MARRIAGE, "married_now"))

        assert ["cannot_say", "yes", "no", "no"] == said


class TestHeaders:
    def test_an_answer_says_what_is_left(self, hub: RunningHub, client: Client) -> None:
        """RateLimit and its policy, by minute and by day."""
        hub.give(per_minute=5, per_day=7)
        body = {
            "subject": {"type": LI.type, "id": LI.id},
            "fields": ["name"],
            "authority": _authority(),
        }

        answer = client.request("POST", f"/v1/resources/{RESOURCE}/query", body)

        assert '"minute";q=5;w=60, "day";q=7;w=86400' == answer.headers["ratelimit-policy"]
        left = re.fullmatch(r'"minute";r=4;t=(\d+), "day";r=6;t=(\d+)', answer.headers["ratelimit"])
        assert left is not None
        assert 0 < int(left[1]) <= 60
        assert 0 < int(left[2]) <= 86401

    def test_a_refusal_says_when_to_come_back(self, hub: RunningHub, client: Client) -> None:
        """After the minute, or after the city's day."""
        hub.give(per_minute=5, per_day=0)
        body = {
            "subject": {"type": LI.type, "id": LI.id},
            "fields": ["name"],
            "authority": _authority(),
        }

        answer = client.request("POST", f"/v1/resources/{RESOURCE}/query", body)

        assert 429 == answer.status_code
        city = datetime.now(UTC) + timedelta(hours=8)
        midnight = datetime(city.year, city.month, city.day, tzinfo=UTC) + timedelta(days=1)
        assert abs(int(answer.headers["retry-after"]) - (midnight - city).total_seconds()) < 30
        assert '"day";r=0' in answer.headers["ratelimit"]


def _authority() -> dict[str, str]:
    names = ("purpose", "basis", "item", "case", "officer")
    return {name: getattr(AUTHORITY, name) for name in names}


def _answer(client: Client, resource: str, text: str, subject: Subject = LI) -> str:
    answers = client.predicate(resource, subject, [text], AUTHORITY)["answers"]
    return str(answers[text]["answer"])


def _set(hub: RunningHub, column: str, value: object) -> None:
    with hub.owner() as conn:
        conn.execute(f"UPDATE library.population_resident SET {column} = %s".encode(), (value,))


def _marry(hub: RunningHub, number: str, status: str, record: str) -> None:
    with hub.owner() as conn:
        conn.execute(
            "INSERT INTO library.population_marriage (registration_no, party_id, kind,"
            " status_after, record_status, registered_on, changed_at, _batch, _since)"
            " VALUES (%s, %s, '1', %s, %s, %s, now(), 1, now())",
            (number, LI.id, status, record, date(2000 + int(number), 1, 1)),
        )
