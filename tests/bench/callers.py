"""Client systems for benches: registered, with a grant, and requests that are signed beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from connectors.client import Client, Credentials, new_key, public_half
from exchange import clients, grants
from schemas.grant import Grant
from tests.bench.house import House


def admitted(here: House, client_id: str, given: Iterable[Grant]) -> Client:
    """A client of the running hub with these grants."""
    key = new_key()
    with here.owner() as owner:
        clients.register(owner, client_id, "a client of the bench", public_half(key))
        for each in given:
            grants.give(owner, each)
    return Client(Credentials.of(here.settings.public_url, client_id, key))


def signed(
    client: Client, path: str, bodies: Iterable[Any], headers: Mapping[str, str] = {}
) -> list[bytes]:
    """Whole requests with token, proof and message signature; to be sent within a minute."""
    token, url = client.token(), client.credentials.base_url + path
    contents = map(orjson.dumps, bodies)
    return [
        _request(path, each, client.signed("POST", url, each, token, **headers))
        for each in contents
    ]


def proved(client: Client, path: str, bodies: Iterable[Any]) -> list[bytes]:
    """Whole requests with token and proof alone, of a client that need not sign yet."""
    token, url = client.token(), client.credentials.base_url + path
    return [
        request(
            path,
            body,
            {"authorization": f"DPoP {token}", "dpop": client.proof("POST", url, token)},
        )
        for body in bodies
    ]


def request(path: str, body: Any, headers: Mapping[str, str] = {}) -> bytes:
    """A whole POST of JSON, as it goes over the wire."""
    return _request(path, orjson.dumps(body), {"content-type": "application/json", **headers})


def _request(path: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    head = {
        "host": "127.0.0.1",
        "content-length": str(len(content)),
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join((*lines, "", "")).encode() + content
