"""Schemathesis's hooks: every call gets its own token and proof, every operation a call that works.

Loaded by `schemathesis run` (SCHEMATHESIS_HOOKS). What a call needs to succeed, a subject that
exists, a grant that allows, a receipt that was given, is read from the file that YIZHAN_CALLS
names; each answer's operation and status go to the file that YIZHAN_ANSWERS names.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import schemathesis

from connectors.client import Client

CALLS: dict[str, dict[str, Any]] = json.loads(Path(os.environ["YIZHAN_CALLS"]).read_text())
TOKENS = "/v1/token"
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
def before_call(_context: Any, case: Any, **_transport: Any) -> None:
    """Sign the call: a token of its client, and a proof of this method and address."""
    call = CALLS.get(case.operation.label, {})
    exemplary = "body" in call and case.body == call["body"]
    if exemplary and "file" in call:
        case.body = Path(call["file"]).read_bytes()
    if "client" not in call:
        return
    client = _client(call["client"])
    url = client.credentials.base_url + unquote(case.formatted_path)
    token = None if case.operation.path == TOKENS else client.token()
    if exemplary and token is None:
        case.body = {**case.body, "client_assertion": client.assertion()}
    if token is not None:
        case.headers["Authorization"] = f"DPoP {token}"
    case.headers["DPoP"] = client.proof(case.method, url, token)


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
