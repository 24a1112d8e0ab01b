"""A case over HTTP: decided, recorded, kept, and given to nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from connectors.client import CallInvalid, Client, ProblemAnswer
from exchange import grants
from exchange.web.resolutions import EXAMPLE
from tests.connectors.intake.holdings import OWNER, STRANGER, UNIT, a_request
from tests.exchange.hubs import RunningHub, raw
from tests.exchange.intake.conftest import INTAKE, give_all, set_owner

PATH = "/v1/resolutions"


def post(client: Client, key: str = "WIN03-000817-1", **answers: Any) -> dict[str, Any]:
    """Send the case."""
    return client.post(PATH, a_request(**answers), {"Idempotency-Key": key})


def statuses(told: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason of each material."""
    return {one["id"]: (one["status"], one["why"]) for one in told["materials"]}


class TestMake:
    def test_what_the_libraries_hold_is_not_asked_for(
        self, hub: RunningHub, intake: Client
    ) -> None:
        """Identity, title and consent come from the libraries; 12 of 27 are left."""
        told = post(intake)

        assert ("satisfied", "held") == statuses(told)["M-ID/legal_representative"]
        assert ("satisfied", "held") == statuses(told)["M-TITLE"]
        assert ("satisfied", "held") == statuses(told)["M-OWNER-CONSENT"]
        assert ("open", True, 1) == (told["state"], told["decision_allowed"], told["revision"])
        assert (27, 12) == (told["savings"]["listed"], told["savings"]["applicant_must_bring"])
        field = told["fields"]["legal_representative.name"]
        assert ("张三", "verified") == (field["value"], field["lock"])

    def test_every_pull_is_in_the_ledger(self, hub: RunningHub, intake: Client) -> None:
        """Each source was asked once, under the client's grant, for this case; with receipts."""
        told = post(intake)

        calls = [entry for entry in hub.entries() if entry.get("resource")]
        assert sorted(one["receipt"] for one in told["asked"]) == sorted(
            entry["receipt"] for entry in calls
        )
        assert {(INTAKE, "WIN03-000817", "clerk:0421")} == {
            (entry["client"], entry["case"], entry["officer"]) for entry in calls
        }
        assert len(calls) == len({(entry["resource"], entry["subject"]) for entry in calls})

    def test_without_a_grant_the_rule_is_told(self, hub: RunningHub, intake: Client) -> None:
        """A revoked grant is felt at once, by its own materials alone."""
        with hub.owner() as conn:
            grants.revoke(conn, f"{INTAKE}:open-restaurant@2026-10:population.resident")

        told = post(intake)

        one = next(m for m in told["materials"] if m["id"] == "M-ID/legal_representative")
        assert ("missing", "refused_by_grant") == (one["status"], one["why"])
        assert "grant-revoked" in {tried.get("rule") for tried in one["tried"]}
        assert ("satisfied", "held") == statuses(told)["M-TITLE"]

    def test_a_dead_source_blocks_the_decision_not_the_applicant(
        self, hub: RunningHub, intake: Client
    ) -> None:
        """The library of residents does not answer; the rest is answered, with 200."""
        with hub.owner() as conn:
            conn.execute("REVOKE SELECT ON library.population_resident FROM yizhan_hub")

        told = post(intake)

        assert ("unavailable", "source_down") == statuses(told)["M-ID/legal_representative"]
        assert ("satisfied", "held") == statuses(told)["M-TITLE"]
        assert ("partial", False) == (told["state"], told["decision_allowed"])

    def test_the_world_moves_and_the_case_with_it(self, hub: RunningHub, intake: Client) -> None:
        """The same case asked again under a new key is its next revision."""
        first = post(intake, "a")
        set_owner(hub, STRANGER.id)
        second = post(intake, "b")

        assert (first["id"], 1, 2) == (second["id"], first["revision"], second["revision"])
        assert ("missing", "holder_differs") == statuses(second)["M-TITLE"]
        assert second == intake.get(f"{PATH}/{first['id']}")


class TestIdempotency:
    def test_the_same_request_is_the_same_answer(self, hub: RunningHub, intake: Client) -> None:
        """Nothing is asked a second time."""
        first = post(intake)
        before = len(hub.entries())

        assert first == post(intake)
        assert before == len(hub.entries())

    def test_another_request_under_the_same_key_is_a_conflict(
        self, hub: RunningHub, intake: Client
    ) -> None:
        """The key is taken; the problem says so, and the first answer stands."""
        first = post(intake)

        with pytest.raises(ProblemAnswer) as raised:
            post(intake, tenure="leased")

        assert 409 == raised.value.problem["status"]
        assert "idempotency-key-reused" == raised.value.problem["code"]
        assert first == post(intake)

    def test_keys_are_a_client_s_own(self, hub: RunningHub, intake: Client) -> None:
        """Two clients may choose the same key."""
        first = post(intake)
        with hub.client("other-hall") as other:
            give_all(hub, "other-hall")

            assert first["id"] != post(other)["id"]

    def test_sent_many_times_at_once_it_is_kept_once(self, hub: RunningHub, intake: Client) -> None:
        """Retries that overtake each other get one answer."""
        body = orjson.dumps(a_request())
        intake.token()
        with ThreadPoolExecutor(6) as pool:
            sent = [
                pool.submit(raw, intake, PATH, body, **{"Idempotency-Key": "k"}) for _ in range(6)
            ]
            answers = [one.result() for one in sent]

        assert {200} == {answer.status_code for answer in answers}
        assert 1 == len({answer.content for answer in answers})
        with hub.owner() as conn:
            count = conn.execute("SELECT count(*) FROM hub.resolution_revision").fetchone()
        assert (1,) == count


class TestGet:
    def test_only_for_the_client_that_made_it(self, hub: RunningHub, intake: Client) -> None:
        """For anybody else there is no such resolution."""
        told = post(intake)
        with hub.client("other-hall") as other, pytest.raises(CallInvalid) as raised:
            other.get(f"{PATH}/{told['id']}")

        assert 404 == raised.value.problem["status"]
        assert told == intake.get(f"{PATH}/{told['id']}")

    def test_no_such_resolution(self, hub: RunningHub, intake: Client) -> None:
        """Whatever stands in the path."""
        for name in ("res_none", "%00", "..%2f", "x" * 3000):
            assert intake.request("GET", f"{PATH}/{name}").status_code in (400, 401, 404)


BAD: list[tuple[bytes, dict[str, str], int]] = [
    (b"{", {"Idempotency-Key": "k"}, 400),
    (b'{"bundle": "a", "bundle": "b"}', {"Idempotency-Key": "k"}, 400),
    (b"{}", {"Idempotency-Key": "k"}, 422),
    (b"{}", {}, 400),
    (b"{}", {"Idempotency-Key": "k" * 201}, 400),
    (b"{}", {"Idempotency-Key": OWNER.id}, 400),
    (b"{}", {"Idempotency-Key": "k", "Content-Type": "text/plain"}, 415),
    (b" " * 300_000, {"Idempotency-Key": "k"}, 413),
]


class TestRefuses:
    def test_bad_requests_are_told_and_recorded(self, hub: RunningHub, intake: Client) -> None:
        """A clear problem, an entry in the ledger, nothing kept."""
        for body, headers, status in BAD:
            answer = raw(intake, PATH, body, **headers)

            assert status == answer.status_code
            assert "application/problem+json" == answer.headers["content-type"]
            assert "malformed" == hub.entries()[-1]["decision"]

    def test_an_unknown_bundle(self, hub: RunningHub, intake: Client) -> None:
        """There is no such bundle."""
        with pytest.raises(CallInvalid) as raised:
            intake.post(PATH, {**a_request(), "bundle": "circus@1"}, {"Idempotency-Key": "k"})

        assert 404 == raised.value.problem["status"]

    def test_nobody_unknown(self, hub: RunningHub, intake: Client) -> None:
        """Without a token there is nothing."""
        answer = raw(intake, PATH, b"{}", Authorization="DPoP none")

        assert 401 == answer.status_code

    def test_another_purpose_is_outside_the_grants(self, hub: RunningHub, intake: Client) -> None:
        """Every source refuses, and says by which rule; nothing is disclosed."""
        request = a_request()
        request["authority"]["purpose"] = "marketing"

        told = intake.post(PATH, request, {"Idempotency-Key": "k"})

        assert {"purpose-outside-grant"} == {one["rule"] for one in told["asked"]}
        assert 0 == told["savings"]["fields_prefilled"]


class TestAtRest:
    def test_nothing_personal_is_readable(self, hub: RunningHub, intake: Client) -> None:
        """Numbers, names and units are in no table of intake in clear."""
        post(intake)

        with hub.owner() as conn:
            kept = "".join(
                str(conn.execute(f"SELECT t::text FROM hub.{table} t").fetchall())
                for table in ("resolution", "resolution_revision", "savings_receipt")
            )
        personal = [OWNER.id, "张三", UNIT.id]
        hidden = [text.encode().hex() for text in personal]
        assert not [text for text in (*personal, *hidden) if text in kept]

    def test_what_was_answered_is_not_changed_by_the_hub(
        self, hub: RunningHub, intake: Client
    ) -> None:
        """The hub's role may add and read, nothing else."""
        with hub.owner() as conn:
            may = conn.execute(
                "SELECT privilege_type FROM information_schema.role_table_grants"
                " WHERE grantee = 'yizhan_hub' AND table_name = 'resolution_revision'"
            ).fetchall()

        assert {("INSERT",), ("SELECT",)} == set(may)

    def test_a_savings_receipt_is_kept_for_each_revision(
        self, hub: RunningHub, intake: Client
    ) -> None:
        """Numbers without people, to be counted later."""
        told = post(intake)

        with hub.owner() as conn:
            row = conn.execute("SELECT id, savings FROM hub.savings_receipt").fetchone()
        assert (told["receipt"], told["savings"]) == row


class TestDescription:
    def test_the_example_is_answered(self, hub: RunningHub, intake: Client) -> None:
        """What `/openapi.json` shows can be sent as it stands."""
        told = intake.post(PATH, EXAMPLE, {"Idempotency-Key": "example"})

        assert "open-restaurant@2026-10" == told["bundle"]
