"""The routes of intake: make a resolution of a case, and read one's own again."""

from __future__ import annotations

import re
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from connectors.intake.case import ResolutionIn, names_nobody, read_request
from exchange import bodies
from exchange.intake import Intake
from exchange.problems import Malformed, declared
from exchange.web.caller import Caller, hub_of, record
from exchange.web.openapi import SECURITY, request_body
from schemas.errors import Invalid, NotFound, Refused

KEY = re.compile(r"[\x21-\x7e]{1,200}")

router = APIRouter(tags=["intake"])


class ResolutionOut(BaseModel):
    """The answer to a case, as `/openapi.json` declares it."""

    model_config = ConfigDict(extra="allow")

    id: str
    bundle: str
    revision: int
    receipt: str
    state: Literal["complete", "open", "partial"]
    at: str
    valid_until: str
    decision_allowed: bool
    items: list[dict[str, Any]]
    savings: dict[str, Any]
    materials: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    fields: dict[str, Any]
    asked: list[dict[str, Any]]


READ_AGAIN = {
    "get": {"operationId": "get_resolution", "parameters": {"resolution": "$response.body#/id"}}
}
PERSON = {"type": "cn.resident_id", "id": "11010519491231002X"}  # the example of GB 11643
EXAMPLE = {
    "bundle": "open-restaurant@2026-10",
    "subject": {"self": PERSON},
    "authority": {
        "purpose": "open-restaurant",
        "basis": "政务服务",
        "item": "open-restaurant@2026-10",
        "case": "WIN03-000817",
        "officer": "clerk:0421",
    },
    "answers": {
        "shareholders": [PERSON],
        "premises": {"unit_no": "110105001001GB00001F00010001", "tenure": "own"},
        "public_drain": True,
    },
}
BODY = request_body(ResolutionIn)
BODY["requestBody"]["content"]["application/json"]["example"] = EXAMPLE
ASKED: dict[str, Any] = {
    **BODY,
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "example": "WIN03-000817-1",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        }
    ],
}


@router.post(
    "/v1/resolutions",
    summary="Resolve a case: what is held, what is left, the form filled in",
    response_model=None,
    responses={
        200: {"model": ResolutionOut, "links": READ_AGAIN},
        **declared(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=ASKED,
)
async def make_resolution(request: Request, caller: Caller) -> Response:
    """Resolve a case: every material, the merged form filled in, and what is left to bring."""
    try:
        key = _key(request)
        raw = await bodies.read(request, "application/json")
        bodies.strict_json(raw)
        told = await Intake.of(hub_of(request)).make(caller.client, key, read_request(raw))
    except (Invalid, Refused) as err:
        if not getattr(err, "receipt", None):  # the exchange has recorded what it refused itself
            await record(request, err, caller)
        raise
    return _json(told, {"location": f"/v1/resolutions/{told['id']}"})


@router.get(
    "/v1/resolutions/{resolution}",
    summary="A resolution that this client made",
    operation_id="get_resolution",
    response_model=None,
    responses={200: {"model": ResolutionOut}, **declared(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_resolution(request: Request, resolution: str, caller: Caller) -> Response:
    """Read the newest revision of a resolution that this client made."""
    try:
        told = await Intake.of(hub_of(request)).get(caller.client, resolution)
    except NotFound as err:
        await record(request, err, caller)
        raise
    return _json(told, {})


def _key(request: Request) -> str:
    keys = request.headers.getlist("idempotency-key")
    if len(keys) != 1 or not KEY.fullmatch(keys[0]):
        raise Malformed(
            "the call needs one Idempotency-Key of 1 to 200 visible ASCII characters",
            zh="请求须带一个 Idempotency-Key（1 至 200 个可见 ASCII 字符）",
        )
    try:
        names_nobody(keys[0])
    except ValueError as err:
        raise Malformed(f"the Idempotency-Key {err}", zh="Idempotency-Key 不得含身份证号") from None
    return keys[0]


def _json(told: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(
        orjson.dumps(told),
        headers={"cache-control": "no-store", **headers},
        media_type="application/json",
    )
