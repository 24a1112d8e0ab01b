"""What strangers send: a clear answer, evidence, and never a 5xx."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from connectors.client import Client, Credentials, new_key
from exchange.bodies import LIMIT
from tests.exchange.hubs import AUTHORITY, LI, RESOURCE, RunningHub, raw

QUERY = f"/v1/resources/{RESOURCE}/query"
GOOD: dict[str, Any] = {
    "subject": {"type": LI.type, "id": LI.id},
    "fields": ["name"],
    "authority": {
        "purpose": AUTHORITY.purpose,
        "basis": AUTHORITY.basis,
        "item": AUTHORITY.item,
        "case": AUTHORITY.case,
        "officer": AUTHORITY.officer,
    },
}
TEXT = json.dumps(GOOD)


def changed(**changes: Any) -> bytes:
    """The good body with changes; None leaves a member out."""
    body = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return json.dumps(body).encode()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"hello",
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "half of it": TEXT[: len(TEXT) // 2].encode(),
    "NaN": changed(fields=["name"]).replace(b'["name"]', b"[NaN]"),
    "a lone surrogate": TEXT.replace('"name"', '"\\ud800"').encode(),
    "NUL": TEXT.replace('"name"', '"na\\u0000me"').encode(),
    "bad UTF-8": TEXT.encode().replace(b"name", b"na\xffme"),
    "UTF-16": TEXT.encode("utf-16"),
    "a byte-order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "a name twice": (TEXT[:-1] + ', "fields": ["phone"]}').encode(),
    "a subject's id twice": TEXT.replace('"id":', '"id": "x", "id":').encode(),
    "nested without end": b'{"subject":' + b"[" * 100_000,
    "nested and closed": b"[" * 900 + b"]" * 900,
    "a member too many": changed(admin=True),
    "fields a text": changed(fields="name"),
    "fields true": changed(fields=[True]),
    "no fields": changed(fields=[]),
    "a thousand fields": changed(fields=["name"] * 1000),
    "no authority": changed(authority=None),
    "an authority without officer": changed(
        authority=dict.fromkeys(("purpose", "basis", "item", "case"), "x")
    ),
    "an empty purpose": changed(authority=GOOD["authority"] | {"purpose": ""}),
    "a person's number as officer": changed(authority=GOOD["authority"] | {"officer": LI.id}),
    "a person's number inside the case": changed(
        authority=GOOD["authority"] | {"case": f"案件{LI.id}号"}
    ),
    "subject a text": changed(subject=LI.id),
    "id a number": changed(subject={"type": LI.type, "id": 110105}),
    "id without end": changed(subject={"type": LI.type, "id": "1" * 65}),
    "a big number": changed(fields=["name"]).replace(b'["name"]', b"[" + b"9" * 5000 + b"]"),
}


class TestBodies:
    def test_none_is_served(self, hub: RunningHub, client: Client) -> None:
        """Each is refused as the client's fault, says so in both languages, and is recorded."""
        hub.give()
        client.token()
        for name, body in BODIES.items():
            before = len(hub.entries())

            answer = raw(client, QUERY, body)

            assert answer.status_code in (400, 422), name
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json", name
            assert (problem["blame"], problem["retry"]) == ("client", False), name
            assert set(problem["message"]) == {"en", "zh"}, name
            assert LI.id not in answer.text, name
            entries = hub.entries()
            assert (len(entries), entries[-1]["decision"]) == (before + 1, "malformed"), name
            assert LI.id not in str(entries[-1]), name

    def test_too_long_is_not_even_parsed(self, hub: RunningHub, client: Client) -> None:
        """With or without its length said beforehand."""
        long = b'{"x": "' + b"x" * LIMIT + b'"}'

        assert raw(client, QUERY, long).status_code == 413
        assert hub.entries()[-1]["rule"] == "too-large"

    def test_another_media_type(self, client: Client) -> None:
        """JSON is asked for, and nothing else read."""
        answer = raw(client, QUERY, TEXT.encode(), **{"Content-Type": "text/plain"})

        assert (answer.status_code, answer.json()["code"]) == (415, "wrong-media-type")

    def test_a_stranger_name_is_not_echoed(self, client: Client) -> None:
        """The name of a member too many may be a person's number."""
        answer = raw(client, QUERY, changed(**{LI.id: 1}))

        assert "(unknown member)" in answer.json()["detail"]
        assert LI.id not in answer.text

    def test_odd_subjects(self, hub: RunningHub, client: Client) -> None:
        """A subject that fails its check is refused, whatever it is made of."""
        hub.give()
        for subject in ("' OR 1=1 --", "%", "\\", "１１０１０５", "x" * 64):
            answer = raw(client, QUERY, changed(subject={"type": LI.type, "id": subject}))

            assert (answer.status_code, answer.json()["rule"]) == (422, "subject-invalid"), subject


ODD_ADDRESSES = (
    ("GET", "/nowhere", 404),
    ("GET", "/v1/resources/", 404),
    ("GET", QUERY, 405),
    ("DELETE", "/v1/token", 405),
    ("POST", "/v1/resources/x%00y/query", 401),
    ("POST", "/v1/resources/..%2f..%2fetc/query", 404),
    ("GET", "/v1/ledger/receipts/not-a-receipt/proof", 404),
    ("GET", "/v1/ledger/receipts/00000000-0000-0000-0000-000000000000/proof", 404),
)


class TestAddresses:
    def test_the_frameworks_errors_are_problems_too(self, hub: RunningHub) -> None:
        """Whoever refuses, the document has the same shape."""
        for method, path, status in ODD_ADDRESSES:
            answer = httpx.request(method, hub.url + path)

            assert answer.status_code == status, path
            assert answer.headers["content-type"] == "application/problem+json", path
            assert answer.json()["status"] == status, path

    def test_what_is_open(self, hub: RunningHub) -> None:
        """Health, figures, the catalogue and the description need no token and name nobody."""
        for path in ("/healthz", "/metrics", "/v1/resources", "/openapi.json"):
            assert httpx.get(hub.url + path).status_code == 200, path

    def test_every_body_and_problem_is_described(self, hub: RunningHub) -> None:
        """The description refers to nothing that it does not hold."""
        document = httpx.get(hub.url + "/openapi.json").json()

        text = json.dumps(document)
        for name in ("QueryBody", "VerifyBody", "Problem", "SubjectBody", "TokenForm"):
            assert f"#/components/schemas/{name}" in text
            assert name in document["components"]["schemas"]
        assert "503" in document["paths"]["/v1/resources/{code}/query"]["post"]["responses"]


class TestCallers:
    def test_without_a_token(self, hub: RunningHub) -> None:
        """Says which scheme is taken, and is recorded."""
        answer = httpx.post(hub.url + QUERY, content=TEXT)

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("DPoP")
        entry = hub.entries()[-1]
        assert (entry["decision"], entry["rule"]) == ("unauthenticated", "token-missing")

    def test_a_bearer_token_is_not_enough(self, hub: RunningHub, client: Client) -> None:
        """A stolen token without its key is worth nothing."""
        token = client.token()

        bare = {"Authorization": f"Bearer {token}"}
        without = {"Authorization": f"DPoP {token}"}

        assert httpx.post(hub.url + QUERY, content=TEXT, headers=bare).status_code == 401
        assert httpx.post(hub.url + QUERY, content=TEXT, headers=without).status_code == 401

    def test_a_proof_of_another_key(self, hub: RunningHub, client: Client) -> None:
        """The proof must be of the key that the token is bound to."""
        thief = Client(Credentials.of(hub.url, "thief", new_key()))
        token = client.token()
        url = hub.url + QUERY

        answer = httpx.post(
            url,
            content=TEXT,
            headers={"Authorization": f"DPoP {token}", "DPoP": thief.proof("POST", url, token)},
        )

        assert (answer.status_code, answer.json()["rule"]) == (401, "dpop-proof-key")

    def test_a_client_nobody_registered(self, hub: RunningHub) -> None:
        """No token for a stranger; OAuth's own word is in the document."""
        stranger = Client(Credentials.of(hub.url, "stranger", new_key()))

        answer = httpx.post(
            f"{hub.url}/v1/token",
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": stranger.assertion(),
            },
            headers={"DPoP": stranger.proof("POST", f"{hub.url}/v1/token")},
        )

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert hub.entries()[-1]["rule"] == "client-unknown"

    def test_odd_forms(self, hub: RunningHub) -> None:
        """The token endpoint takes its form or says no."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for form in (b"", b"a", b"a=%ff&a=1", b"grant_type=password", b"a=1&" * 50):
            answer = httpx.post(f"{hub.url}/v1/token", content=form, headers=kind)

            assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), form


class TestReplay:
    def test_each_proof_is_taken_once(self, hub: RunningHub, client: Client) -> None:
        """Eight threads send the same ten calls; ten are answered, the others are recorded."""
        hub.give()
        token, url = client.token(), hub.url + QUERY
        calls = [client.signed("POST", url, TEXT.encode(), token) for _ in range(10)]

        def send(number: int) -> int:
            return httpx.post(url, content=TEXT, headers=calls[number % 10]).status_code

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(send, range(80)))

        assert (statuses.count(200), statuses.count(401)) == (10, 70)
        rules = [entry.get("rule") for entry in hub.entries()]
        assert rules.count("dpop-proof-replayed") == 70

    def test_each_assertion_is_taken_once(self, hub: RunningHub, client: Client) -> None:
        """The same at the token endpoint, with a fresh proof each time."""
        url = f"{hub.url}/v1/token"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": client.assertion(),
        }

        def send(_: int) -> int:
            proof = {"DPoP": client.proof("POST", url)}
            return httpx.post(url, data=form, headers=proof).status_code

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(send, range(16)))

        assert (statuses.count(200), statuses.count(401)) == (1, 15)
