"""Schemathesis's hooks: every call gets its own token and proof, every operation a call that works.

Loaded by `schemathesis run` (SCHEMATHESIS_HOOKS). What a call needs to succeed, a subject that
exists, a grant that allows, a receipt that was given, is read from the file that YIZHAN_CALLS
names; each answer's operation and status go to the file that YIZHAN_ANSWERS names.
"""

from __future__ import annotations

import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import schemathesis

from connectors.client import Client, new_key, public_half
from connectors.client_session import NEXT_KEY
from connectors.client_signing import proof

CALLS: dict[str, dict[str, Any]] = json.loads(Path(os.environ["YIZHAN_CALLS"]).read_text())
TOKENS = "/v1/token"
SIGNED_TOO = ("content-type", "idempotency-key")
ANSWERS = Path(os.environ["YIZHAN_ANSWERS"])


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Put the calls that work into the document, as its examples."""
    for label, call in CALLS.items():
        method, path = label.split(" ")
        operation = raw_schema["paths"][path][method.lower()]
        for parameter in operation.get("parameters", []):
            if parameter["name"] in call.get("parameters", {}):
                parameter.pop("examples", None)
                parameter["example"] = real = call["parameters"][parameter["name"]]
                if parameter["in"] == "path":  # else hardly any call would find anything
                    parameter["schema"] = {**parameter["schema"], "enum": [real]}
        if "body" in call:
            content = operation["requestBody"]["content"]
            content[call["media_type"]] = {
                **content[call["media_type"]],
                "example": call["body"],
            }


@schemathesis.hook
def before_call(_context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Have the call signed: token, proof and message signature, once its bytes are known."""
    call = CALLS.get(case.operation.label, {})
    exemplary = "body" in call and case.body == call["body"]
    if exemplary and "file" in call:
        case.body = Path(call["file"]).read_bytes()
    if "client" not in call:
        return
    client = _client(call["client"])
    if exemplary and case.operation.path == NEXT_KEY:
        case.body = _next_key(client)
    if case.operation.path != TOKENS:
        kwargs["auth"] = lambda request: _signed(client, request)
        return
    if exemplary:
        case.body = {**case.body, "client_assertion": client.assertion()}
    case.headers["DPoP"] = client.proof(case.method, client.credentials.base_url + TOKENS)


def _next_key(client: Client) -> dict[str, Any]:
    """A key that nobody has yet, with its proof."""
    key, held = new_key(), client.credentials
    url = held.base_url + NEXT_KEY
    shown = proof(held.next(key), "POST", url, client.token(), int(time.time()))
    return {"jwk": public_half(key), "proof": shown}


def _signed(client: Client, request: Any) -> Any:
    """The request as it goes over the wire, with what its client says of itself."""
    content = request.body.encode() if isinstance(request.body, str) else request.body
    bodiless = request.method in ("GET", "HEAD")
    said = {name: request.headers[name] for name in SIGNED_TOO if name in request.headers}
    body = None if bodiless else content or b""
    request.headers.update(client.signed(request.method, request.url, body, client.token(), **said))
    return request


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    """Write down what was answered."""
    with ANSWERS.open("a") as file:
        file.write(f"{response.status_code} {case.operation.label}\n")


@schemathesis.serializer("application/pdf", "application/dc+sd-jwt")
def as_it_is(_context: Any, value: Any) -> bytes:
    """Documents travel as their own bytes."""
    return value if isinstance(value, bytes) else str(value).encode()


@cache
def _client(credentials: str) -> Client:
    return Client.open(credentials)
