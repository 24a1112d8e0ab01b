"""Asking for fields of one subject, and comparing claims about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.client import CallInvalid, CallRefused, Client, HubUnavailable
from exchange import clients, grants
from schemas.grant import Form, Mode, Subject
from tests.exchange.hubs import AUTHORITY, CLIENT_ID, LI, RESOURCE, RunningHub

NOBODY = Subject("cn.resident_id", "110105199003070033")


class TestQuery:
    def test_granted_fields_are_answered(self, hub: RunningHub, client: Client) -> None:
        """Each value says whose it is, since when it stands, and whether it is masked."""
        hub.give()

        answer = client.query(RESOURCE, LI, ["name", "resident_id"], AUTHORITY)

        name, number = answer["values"]["name"], answer["values"]["resident_id"]
        assert (name["value"], name["masked"], name["quality"]) == ("李建国", False, "ok")
        assert (number["value"], number["masked"]) == ("1" + "*" * 16 + "X", True)
        assert name["source"]
        assert name["as_of"].endswith("Z")

    def test_the_answer_is_evidence(self, hub: RunningHub, client: Client) -> None:
        """Purpose, basis, item, case and officer are kept; the person only as a keyed hash."""
        hub.give()

        receipt = client.query(RESOURCE, LI, ["name"], AUTHORITY)["receipt"]

        entry = hub.entries()[-1]
        assert (entry["receipt"], entry["decision"], entry["deed"]) == (
            receipt,
            "answered",
            "query",
        )
        assert (entry["client"], entry["grant"]) == (CLIENT_ID, "grant-1")
        assert (entry["case"], entry["officer"]) == (AUTHORITY.case, AUTHORITY.officer)
        assert len(entry["subject"]) == 64
        assert LI.id not in str(entry)
        assert "李建国" not in str(entry)

    def test_nobody_there_is_an_answer(self, hub: RunningHub, client: Client) -> None:
        """Nothing found is said and recorded, not an error."""
        hub.give()

        answer = client.query(RESOURCE, NOBODY, ["name"], AUTHORITY)

        assert (answer["found"], answer["values"]) == (False, {})
        assert hub.entries()[-1]["decision"] == "not-found"

    def test_rows_outside_the_filter_are_not_there(self, hub: RunningHub, client: Client) -> None:
        """A row filter leaves nothing of other rows, whatever characters its values hold."""
        hub.give(row_filter={"household_division": ("110101'; DROP TABLE hub.seen; --",)})

        assert client.query(RESOURCE, LI, ["name"], AUTHORITY)["found"] is False

    def test_rows_inside_the_filter_are(self, hub: RunningHub, client: Client) -> None:
        """A row filter is a list of values, of which one must fit."""
        hub.give(row_filter={"household_division": ("330784", "110105"), "deceased": ("false",)})

        assert client.query(RESOURCE, LI, ["name"], AUTHORITY)["found"] is True

    def test_an_old_number_finds_its_person(self, hub: RunningHub, client: Client) -> None:
        """A 15-digit number is the same person, and the same person in the ledger."""
        hub.give()
        _add_alias(hub, "110105491231002", LI.id)

        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        old = client.query(RESOURCE, replace(LI, id="110105491231002"), ["name"], AUTHORITY)

        assert old["values"]["name"]["value"] == "李建国"
        assert hub.entries()[-1]["subject"] == hub.entries()[-2]["subject"]

    def test_an_alias_of_two_is_refused(self, hub: RunningHub, client: Client) -> None:
        """An old number that two persons had is nobody's."""
        hub.give()
        _add_alias(hub, "110105491231002", LI.id)
        _add_alias(hub, "110105491231002", NOBODY.id)

        with pytest.raises(CallInvalid) as refused:
            client.query(RESOURCE, replace(LI, id="110105491231002"), ["name"], AUTHORITY)

        assert refused.value.rule == "subject-ambiguous"


def _add_alias(hub: RunningHub, alias: str, subject: str) -> None:
    with hub.owner() as conn:
        conn.execute(
            "INSERT INTO library.alias (kind, alias, subject, source)"
            " VALUES ('resident', %s, %s, 'test')",
            (alias, subject),
        )


class TestRefuses:
    def test_no_grant_no_byte(self, hub: RunningHub, client: Client) -> None:
        """Without a grant the rule is named, and the refusal is evidence."""
        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        assert refused.value.rule == "no-grant"
        assert refused.value.problem["blame"] == "client"
        entry = hub.entries()[-1]
        assert (entry["decision"], entry["rule"]) == ("refused", "no-grant")
        assert entry["receipt"] == refused.value.problem["receipt"]

    @pytest.mark.parametrize(
        ("rule", "changes", "fields"),
        [
            ("purpose-outside-grant", {"purposes": frozenset({"营销"})}, ["name"]),
            ("mode-outside-grant", {"modes": frozenset({Mode.VERIFY})}, ["name"]),
            ("field-outside-grant", {}, ["phone"]),
            ("field-compare-only", {}, ["birth_date"]),
            ("grant-expired", {"valid_to": datetime.now(UTC) - timedelta(hours=1)}, ["name"]),
            ("quota-per-minute", {"per_minute": 0}, ["name"]),
        ],
    )
    def test_outside_the_grant(
        self, hub: RunningHub, client: Client, rule: str, changes: Any, fields: list[str]
    ) -> None:
        """Each rule of the grant is felt over the wire, and recorded."""
        hub.give(**changes)

        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, fields, AUTHORITY)

        assert refused.value.rule == rule
        assert hub.entries()[-1]["rule"] == rule

    def test_the_grant_that_fits_best_is_used(self, hub: RunningHub, client: Client) -> None:
        """Of two grants for one resource the one for this purpose answers."""
        hub.give()
        hub.give(id="grant-2", purposes=frozenset({"婚姻登记"}))

        client.query(RESOURCE, LI, ["name"], replace(AUTHORITY, purpose="婚姻登记"))

        assert hub.entries()[-1]["grant"] == "grant-2"

    def test_a_revoked_grant_at_the_next_call(self, hub: RunningHub, client: Client) -> None:
        """The end of a grant is felt at once, token or no token."""
        hub.give()
        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        with hub.owner() as conn:
            grants.revoke(conn, "grant-1", "目的已完成")

        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        assert refused.value.rule == "grant-revoked"

    def test_a_suspended_client_at_the_next_call(self, hub: RunningHub, client: Client) -> None:
        """So is the end of a client."""
        hub.give()
        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        with hub.owner() as conn:
            clients.suspend(conn, CLIENT_ID)

        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        assert (refused.value.rule, refused.value.problem["status"]) == ("client-not-active", 401)

    def test_a_revoked_key_at_the_next_call(self, hub: RunningHub, client: Client) -> None:
        """And the end of a key."""
        hub.give()
        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        with hub.owner() as conn:
            clients.revoke_key(conn, client.credentials.kid)

        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        assert refused.value.rule == "key-not-in-force"

    def test_a_resource_withdrawn(self, hub: RunningHub, client: Client) -> None:
        """What is no longer offered is not answered, whatever grants there are."""
        hub.give()
        with hub.owner() as conn:
            grants.withdraw(conn, RESOURCE)

        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        assert refused.value.rule == "resource-withdrawn"

    def test_a_number_of_uses(self, hub: RunningHub, client: Client) -> None:
        """Two uses are two answers; a refused call in between uses nothing up."""
        hub.give(max_uses=2)
        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        with pytest.raises(CallRefused):
            client.query(RESOURCE, LI, ["phone"], AUTHORITY)
        client.query(RESOURCE, LI, ["name"], AUTHORITY)

        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        assert refused.value.rule == "uses-exhausted"

    @pytest.mark.parametrize(
        ("rule", "resource", "subject", "fields"),
        [
            ("resource-unknown", "population.unicorn", LI, ["name"]),
            ("field-unknown", RESOURCE, LI, ["name", "horn"]),
            ("field-twice", RESOURCE, LI, ["name", "name"]),
            ("subject-type-unknown", RESOURCE, Subject("cn.uscc", "x"), ["name"]),
            ("subject-invalid", RESOURCE, replace(LI, id="110105194912310021"), ["name"]),
        ],
    )
    def test_what_does_not_exist(
        self,
        hub: RunningHub,
        client: Client,
        rule: str,
        resource: str,
        subject: Subject,
        fields: list[str],
    ) -> None:
        """An unknown resource, field or kind of subject is a clear error, and recorded."""
        hub.give()

        with pytest.raises(CallInvalid) as refused:
            client.query(resource, subject, fields, AUTHORITY)

        assert refused.value.rule == rule
        assert hub.entries()[-1]["decision"] == "malformed"

    def test_a_source_that_is_down(self, hub: RunningHub, client: Client) -> None:
        """The source is to blame, the same call may work later, and it is recorded."""
        hub.give()
        with hub.owner() as conn:
            conn.execute("ALTER TABLE library.population_resident RENAME TO gone")

        with pytest.raises(HubUnavailable) as failed:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        problem = failed.value.problem
        assert (problem["code"], problem["blame"]) == ("source-unavailable", "source")
        assert problem["retry"] is True
        assert hub.entries()[-1]["decision"] == "unavailable"


class TestVerify:
    def test_match_mismatch_cannot_say(self, hub: RunningHub, client: Client) -> None:
        """A word for each claim, and no value."""
        hub.give()

        answer = client.verify(
            RESOURCE, LI, {"name": "李建国", "birth_date": "1950-01-01"}, AUTHORITY
        )

        assert answer["verdicts"] == {"name": "match", "birth_date": "mismatch"}
        assert "1949" not in str(answer)

    def test_nobody_there(self, hub: RunningHub, client: Client) -> None:
        """Of nobody nothing can be said."""
        hub.give()

        answer = client.verify(RESOURCE, NOBODY, {"name": "李建国"}, AUTHORITY)

        assert answer["verdicts"] == {"name": "cannot_say"}

    def test_a_masked_field_is_not_guessed_at(self, hub: RunningHub, client: Client) -> None:
        """Comparing would confirm what the mask hides."""
        hub.give()

        with pytest.raises(CallRefused) as refused:
            client.verify(RESOURCE, LI, {"residence_address": "北京"}, AUTHORITY)

        assert refused.value.rule == "field-masked-only"


class TestAccesses:
    def test_a_citizen_sees_who_asked(self, hub: RunningHub, client: Client) -> None:
        """Who, when, why, under which law, and that the refused ones asked too."""
        hub.give()
        hub.give(id="log", resource="ledger.accesses", fields={"accesses": Form.PLAIN})
        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        with pytest.raises(CallRefused):
            client.query(RESOURCE, LI, ["phone"], AUTHORITY)

        found = client.accesses(LI, AUTHORITY)["accesses"]

        assert ["refused", "answered"] == [access["decision"] for access in found]
        assert found[1]["client_name"] == "住建局"
        assert (found[1]["purpose"], found[1]["basis"]) == (AUTHORITY.purpose, AUTHORITY.basis)

    def test_not_without_its_grant(self, hub: RunningHub, client: Client) -> None:
        """A grant for a library is none for the log."""
        hub.give()

        with pytest.raises(CallRefused) as refused:
            client.accesses(LI, AUTHORITY)

        assert refused.value.rule == "no-grant"


class TestQuota:
    def test_is_claimed_not_counted(self, hub: RunningHub, client: Client) -> None:
        """Eight at once for five leave five answers: nobody checks first and takes later."""
        from concurrent.futures import ThreadPoolExecutor

        hub.give(per_minute=10_000, max_uses=5)
        client.token()

        def ask(_: int) -> bool:
            try:
                client.query(RESOURCE, LI, ["name"], AUTHORITY)
            except CallRefused:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            answered = sum(threads.map(ask, range(16)))

        assert answered == 5
