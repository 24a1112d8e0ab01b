"""Calls and answers over HTTP with message signatures: both sides can show later what was said."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors import client_receipts
from connectors.client import AnswerNotVerified, AsyncClient, CallRefused, Client, Credentials
from connectors.client_keys import new_key, public_half, public_key
from exchange import clients, signatures
from exchange.keys import public_key as registered
from exchange.ledger.entries import Signed
from exchange.signatures import Evidence
from schemas.canonical import b64url
from tests.exchange.calls.test_hostile import QUERY, TEXT
from tests.exchange.hubs import AUTHORITY, CLIENT_ID, LI, RESOURCE, RunningHub, raw


def sent(client: Client, headers: dict[str, str], content: bytes = TEXT.encode()) -> httpx.Response:
    """Send a call as it is."""
    return httpx.post(client.credentials.base_url + QUERY, content=content, headers=headers)


def admitted(hub: RunningHub, **more: Any) -> Client:
    """A client with the usual grant."""
    opened = hub.client(**more)
    hub.give()
    return opened


def good(client: Client) -> dict[str, str]:
    """The headers of a call that would be answered."""
    url = client.credentials.base_url + QUERY
    return client.signed("POST", url, TEXT.encode(), client.token())


class TestCall:
    def test_it_is_kept_with_its_entry(self, hub: RunningHub, client: Client) -> None:
        """The entry holds a hash; what it is of proves, with the client's key, what they asked."""
        hub.give()

        assert raw(client, QUERY, TEXT.encode()).status_code == 200

        entry = hub.entries()[-1]
        with hub.owner() as conn:
            row = conn.execute(
                "SELECT signature FROM hub.ledger_entry WHERE receipt = %s", (entry["receipt"],)
            ).fetchone()
        evidence = Evidence(hub.settings.secret("evidence.key"))
        kept = evidence.opened(Signed(bytes.fromhex(entry["signature"]), bytes(row[0])))
        told = signatures.check_kept(kept, registered(dict(client.credentials.public_jwk)))
        assert f'"@target-uri": {hub.url}{QUERY}' in told

    def test_one_without_signature_is_refused(self, hub: RunningHub, client: Client) -> None:
        """Token and proof are not enough for a personal-data call; nothing was claimed by it."""
        hub.give()
        kept = {
            name: value
            for name, value in good(client).items()
            if name not in ("signature", "signature-input")
        }

        answer = sent(client, kept)

        assert (401, "signature-missing") == (answer.status_code, answer.json()["rule"])
        assert "signature-missing" == hub.entries()[-1]["rule"]
        with hub.owner() as conn:
            assert (0,) == conn.execute("SELECT uses FROM hub.grant_spend").fetchone()

    def test_a_client_may_have_until_a_day(self, hub: RunningHub, client: Client) -> None:
        """An old system gets a date until which it need not sign, and not a moment more."""
        hub.give()
        now = datetime.now(UTC)
        for until, status in ((now + timedelta(hours=1), 200), (now, 401)):
            with hub.owner() as conn:
                clients.sign_from(conn, CLIENT_ID, until)
            kept = {k: v for k, v in good(client).items() if not k.startswith("signature")}

            assert status == sent(client, kept).status_code

    def test_one_bad_signature_is_worse_than_none(self, hub: RunningHub, client: Client) -> None:
        """Whoever may call without still may not call with a wrong one."""
        hub.give()
        with hub.owner() as conn:
            clients.sign_from(conn, CLIENT_ID, datetime.now(UTC) + timedelta(hours=1))
        headers = good(client) | {"signature": f"yizhan=:{'A' * 86}==:"}

        answer = sent(client, headers)

        assert (401, "signature-value") == (answer.status_code, answer.json()["rule"])

    def test_another_body_on_its_way(self, hub: RunningHub, client: Client) -> None:
        """The digest that was signed is not this body's."""
        hub.give()

        answer = sent(client, good(client), TEXT.replace("name", "phone").encode())

        assert (400, "malformed") == (answer.status_code, answer.json()["code"])
        assert "malformed" == hub.entries()[-1]["decision"]

    def test_parts_of_two_calls(self, hub: RunningHub, client: Client) -> None:
        """One call's proof with another's signature: each belongs to the other alone."""
        hub.give()
        one, other = good(client), good(client)

        answer = sent(client, one | {"dpop": other["dpop"]})

        assert (401, "signature-nonce") == (answer.status_code, answer.json()["rule"])

    def test_a_signature_header_twice(self, hub: RunningHub, client: Client) -> None:
        """Two of them mean nothing."""
        hub.give()
        headers = [*good(client).items(), ("signature", "other=:AAAA:")]

        answer = httpx.post(hub.url + QUERY, content=TEXT.encode(), headers=headers)

        assert (401, "signature-header") == (answer.status_code, answer.json()["rule"])


class TestAnswer:
    def test_refusals_are_signed_too(self, client: Client) -> None:
        """A man in the middle cannot say no in the hub's name."""
        answer = client.request("POST", QUERY, json.loads(TEXT))

        assert (403, "no-grant") == (answer.status_code, answer.json()["rule"])

    def test_what_is_found_nowhere_as_well(self, client: Client) -> None:
        """Whoever answers, also for an address that does not exist."""
        assert 404 == client.request("GET", "/v1/驿站").status_code

    def test_a_changed_answer_is_not_used(self, hub: RunningHub) -> None:
        """One bit on its way back, and the SDK gives nothing of it to anybody."""

        def change(response: httpx.Response) -> None:
            response.read()
            response._content = response.content.replace(b"true", b"TRUE", 1)

        changing = httpx.Client(event_hooks={"response": [change]})
        with (
            admitted(hub, http=changing) as client,
            pytest.raises(AnswerNotVerified, match="changed"),
        ):
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

    def test_an_answer_of_another_hub(self, hub: RunningHub) -> None:
        """With the hub's keys pinned, nobody else's signature counts."""
        stranger = (public_half(new_key()),)
        with hub.client() as client:
            held = client.credentials
            pinned = Credentials(held.base_url, held.client_id, held.key, held.public_jwk, stranger)

            with pytest.raises(AnswerNotVerified, match="not known as the hub's"):
                Client(pinned).query(RESOURCE, LI, ["name"], AUTHORITY)


class TestReceipts:
    def test_kept_and_proved_offline(self, hub: RunningHub, tmp_path: Path) -> None:
        """Each call leaves a receipt; with both public keys it proves itself, without a hub."""
        with admitted(hub, receipts=tmp_path / "receipts") as client:
            answer = client.query(RESOURCE, LI, ["name"], AUTHORITY)
            with pytest.raises(CallRefused):
                client.query(RESOURCE, LI, ["phone"], AUTHORITY)
            kept = client.session.receipts
            ours, hubs = public_key(client.credentials.public_jwk), client.session.hub_keys
        assert kept is not None

        found = kept.find(answer["receipt"])
        client_receipts.check(found, ours, hubs)

        assert [200, 403] == [each.status for each in kept.all()]
        assert LI.id not in str(found)
        file = next((tmp_path / "receipts").iterdir())
        assert 0o600 == file.stat().st_mode & 0o777

    @pytest.mark.parametrize("part", ["asked", "asked_signature", "answered", "answered_signature"])
    def test_a_changed_receipt(self, hub: RunningHub, tmp_path: Path, part: str) -> None:
        """Whatever part of it is changed, it proves nothing."""
        with admitted(hub, receipts=tmp_path) as client:
            for _ in range(2):
                client.query(RESOURCE, LI, ["name"], AUTHORITY)
            kept = client.session.receipts
            ours, hubs = public_key(client.credentials.public_jwk), client.session.hub_keys
        assert kept is not None
        one, other = kept.all()
        changed: Any = {**{name: getattr(one, name) for name in type(one).__slots__}}
        changed[part] = getattr(other, part)

        with pytest.raises(AnswerNotVerified):
            client_receipts.check(type(one)(**changed), ours, hubs)


class TestAsync:
    def test_the_same_in_asyncio(self, hub: RunningHub) -> None:
        """Twenty calls at once over one client, one token, every answer proved."""
        with admitted(hub) as client:
            credentials = client.credentials

        async def ask() -> list[dict[str, Any]]:
            async with AsyncClient(credentials) as opened:
                one = opened.query(RESOURCE, LI, ["name"], AUTHORITY)
                first = await one
                calls = [opened.query(RESOURCE, LI, ["name"], AUTHORITY) for _ in range(19)]
                return [first, *await asyncio.gather(*calls)]

        answers = asyncio.run(ask())

        assert {"李建国"} == {answer["values"]["name"]["value"] for answer in answers}
        assert 20 == len({answer["receipt"] for answer in answers})
        assert 1 == sum(entry["deed"] == "token" for entry in hub.entries())


class TestKeys:
    def test_the_hubs_keys(self, hub: RunningHub) -> None:
        """Open to everybody, public halves only."""
        (key,) = httpx.get(f"{hub.url}/v1/keys").json()["keys"]

        assert {"kty", "crv", "x", "kid", "alg", "use"} == set(key)
        assert registered({n: v for n, v in key.items() if n != "kid"}).kid == key["kid"]
        assert b64url(bytes(32)) != key["x"]
