"""Bad input to the running demo over HTTP: a clear error by name, recorded, and nothing lost.

Calls that cannot be read or may not be answered, tokens that prove nothing, a damaged license. What
departments do wrong is in `test_bad_sources.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.client import (
    ASSERTION_TYPE,
    CallRefused,
    Client,
    HubUnavailable,
)
from exchange import tokens
from exchange.bodies import LIMIT
from exchange.database import Role
from exchange.demo import chapters, waiting
from exchange.demo.clients import TAX, TAX_CHECK
from exchange.demo.running import Demo
from exchange.demo.story import Story
from exchange.keys import token_key
from license_vault import store
from schemas.grant import Subject
from schemas.license import Form
from tests.exchange.hubs import raw

QUERY = f"/v1/resources/{chapters.OWNERSHIP}/query"


@pytest.fixture(scope="module")
def tax(demo: Demo, told: Story) -> Iterator[Client]:
    """The tax office, which may ask who owns what."""
    with chapters.client(demo, TAX) as tax:
        yield tax


@pytest.fixture(scope="module")
def good(demo: Demo) -> dict[str, Any]:
    """A question that is answered."""
    return {
        "subject": {"type": "cn.real_estate_unit", "id": demo.departments.truth.cast.unit_no},
        "fields": ["location"],
        "authority": asdict(TAX_CHECK),
    }


class TestBodies:
    @pytest.mark.parametrize(
        ("status", "code", "broken"),
        [
            (400, "malformed", lambda text: text[: len(text) // 2]),
            (400, "malformed", lambda text: text.replace(b'"location"', b'"loc\\ud800"')),
            (400, "malformed", lambda text: text.replace(b'"location"', b'"loc\\u0000"')),
            (400, "malformed", lambda text: text.replace(b'"fields"', b'"fields": [], "fields"')),
            (400, "malformed", lambda text: text.replace(b'"fields"', b'"also": 1, "fields"')),
            (400, "malformed", lambda text: text.replace(b'["location"]', b"[NaN]")),
            (413, "too-large", lambda text: text + b" " * LIMIT),
            (422, "unprocessable", lambda text: text.replace(b'"location"', b'"blood_group"')),
            (
                422,
                "unprocessable",
                lambda text: text.replace(b"cn.real_estate_unit", b"cn.passport"),
            ),
        ],
        ids=[
            *("half of it", "a lone surrogate", "NUL", "a name twice", "a member too many", "NaN"),
            *("oversized", "an unknown field", "an unknown kind of subject"),
        ],
    )
    def test_it_is_refused_by_name_and_recorded(
        self,
        tax: Client,
        good: dict[str, Any],
        status: int,
        code: str,
        broken: Callable[[bytes], bytes],
    ) -> None:
        """The caller is told what is wrong, in a document; the ledger has it."""
        answer = raw(tax, QUERY, broken(json.dumps(good).encode()))

        assert (status, code) == (answer.status_code, answer.json()["code"])
        assert "malformed" == _recorded(tax, answer)["decision"]

    def test_a_good_one_is_answered_still(self, tax: Client, good: dict[str, Any]) -> None:
        """The same body without the fault."""
        answer = raw(tax, QUERY, json.dumps(good).encode())

        assert 200 == answer.status_code
        assert "answered" == _recorded(tax, answer)["decision"]


class TestTokens:
    def test_a_forged_token(self, tax: Client, good: dict[str, Any]) -> None:
        """Signed by somebody, not by the hub."""
        claims = jwt.decode(tax.token(), options={"verify_signature": False})
        header = jwt.get_unverified_header(tax.token())
        stranger = Ed25519PrivateKey.generate()
        forged = jwt.encode(claims, stranger, algorithm=header["alg"], headers=header)

        _check_unauthenticated(tax, _sent(tax, good, forged), "access-token-signature")

    def test_an_expired_token(self, demo: Demo, tax: Client, good: dict[str, Any]) -> None:
        """Signed by the hub itself, an hour ago."""
        own = token_key(demo.settings.secret("token.key"))
        held = tax.credentials
        old = tokens.issue(TAX, held.kid, own, held.base_url, int(time.time()) - 3600)

        _check_unauthenticated(tax, _sent(tax, good, old), "access-token-exp")

    def test_a_replayed_proof(self, tax: Client, good: dict[str, Any]) -> None:
        """A proof is good for one call, however quickly it comes again."""
        token = tax.token()
        headers = _headers(tax, good, token)

        first = _sent(tax, good, token, headers)
        second = _sent(tax, good, token, headers)

        assert 200 == first.status_code
        _check_unauthenticated(tax, second, "dpop-proof-replayed")

    def test_a_replayed_assertion(self, tax: Client) -> None:
        """An assertion buys one token."""
        url = f"{tax.credentials.base_url}/v1/token"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": tax.assertion(),
        }
        first, second = (
            httpx.post(url, data=form, headers={"DPoP": tax.proof("POST", url)}) for _ in range(2)
        )

        assert 200 == first.status_code
        _check_unauthenticated(tax, second, "replayed")


class TestGrant:
    def test_a_purpose_outside_it(self, demo: Demo, tax: Client) -> None:
        """The grant says for what; the refusal says that this is not it, and is recorded."""
        owner = Subject(chapters.PERSON, demo.departments.truth.cast.owner.resident_id)
        curious = replace(TAX_CHECK, purpose="marketing")

        with pytest.raises(CallRefused) as refusal:
            tax.query(chapters.OWNERSHIP, owner, ["location"], curious)

        assert "purpose-outside-grant" == refusal.value.rule
        assert "refused" == _entry(tax, refusal.value.problem["receipt"])["decision"]


class TestDocuments:
    @pytest.mark.parametrize(
        ("damage", "verdict"),
        [
            (lambda pdf: pdf, "VALID"),
            (lambda pdf: pdf[:2000] + bytes([pdf[2000] ^ 1]) + pdf[2001:], "INVALID"),
            (lambda pdf: pdf[: len(pdf) // 2], "UNREADABLE"),
            (lambda pdf: pdf + b"\n% one word more", "INVALID"),
            (lambda pdf: b"not a PDF at all", "UNREADABLE"),
            (lambda pdf: b"", "UNREADABLE"),
        ],
        ids=["whole", "one bit", "half of it", "a word more", "something else", "nothing"],
    )
    def test_a_damaged_license(
        self, demo: Demo, tax: Client, damage: Callable[[bytes], bytes], verdict: str
    ) -> None:
        """Any bytes end in a verdict with a reason from the list."""
        url = f"{demo.settings.public_url}/v1/verifications"
        headers = {"Content-Type": "application/pdf"}
        answer = httpx.post(url, content=damage(_license(demo)), headers=headers, timeout=30)

        assert 200 == answer.status_code
        assert verdict == answer.json()["verdict"]
        assert answer.json()["reason"]


def _sent(
    client: Client, body: dict[str, Any], token: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    """A question under a token of the test's choice."""
    url = client.credentials.base_url + QUERY
    signed = headers or _headers(client, body, token)
    return httpx.post(url, content=json.dumps(body), headers=signed, timeout=30)


def _headers(client: Client, body: dict[str, Any], token: str) -> dict[str, str]:
    url = client.credentials.base_url + QUERY
    return client.signed("POST", url, json.dumps(body).encode(), token)


def _check_unauthenticated(client: Client, answer: httpx.Response, rule: str) -> None:
    """The answer says which check failed, and the ledger says it too."""
    assert 401 == answer.status_code
    assert rule == answer.json()["rule"]
    assert rule == _recorded(client, answer)["rule"]


def _recorded(client: Client, answer: httpx.Response) -> dict[str, Any]:
    """The ledger's entry of the call that was answered so."""
    return _entry(client, answer.json()["receipt"])


def _entry(client: Client, receipt: str) -> dict[str, Any]:
    """The ledger's entry of a receipt; it has its place in a moment."""
    proofs: list[dict[str, Any]] = []

    def proved() -> waiting.Progress:
        try:
            proofs.append(client.get(f"/v1/ledger/receipts/{receipt}/proof"))
        except HubUnavailable:
            return False, "not placed yet"
        return True, ""

    waiting.wait_until(proved, lambda _: None, seconds=60, what="the entry's place")
    entry: dict[str, Any] = json.loads(proofs[0]["entry"])
    return entry


def _license(demo: Demo) -> bytes:
    with demo.settings.database.connect(Role.VAULT) as vault:
        row = vault.execute("SELECT id FROM vault.license WHERE status = 'valid'").fetchone()
        assert row is not None
        return store.file(vault, row[0], Form.PDF)
