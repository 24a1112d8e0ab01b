"""The routes of intake: make a resolution of a case, and read one's own again."""

from __future__ import annotations

import re
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from connectors.intake.case import ResolutionIn, read_request
from exchange import bodies
from exchange.intake import Intake
from exchange.problems import Malformed, declared
from exchange.web.caller import Caller, hub_of, record
from schemas.errors import Invalid, Refused

KEY = re.compile(r"[\x21-\x7e]{1,200}")
SCHEMAS = "#/components/schemas/"

router = APIRouter()


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


ASKED: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": ResolutionIn.model_json_schema()}},
    },
}


@router.post(
    "/v1/resolutions",
    response_model=ResolutionOut,
    responses=declared(400, 401, 403, 404, 409, 413, 415, 422, 503),
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
        await record(request, err)
        raise
    return _json(told, {"location": f"/v1/resolutions/{told['id']}"})


@router.get(
    "/v1/resolutions/{resolution}",
    response_model=ResolutionOut,
    responses=declared(401, 404, 503),
)
async def get_resolution(request: Request, resolution: str, caller: Caller) -> Response:
    """Read the newest revision of a resolution that this client made."""
    return _json(await Intake.of(hub_of(request)).get(caller.client, resolution), {})


def _key(request: Request) -> str:
    keys = request.headers.getlist("idempotency-key")
    if len(keys) != 1 or not KEY.fullmatch(keys[0]):
        raise Malformed(
            "the call needs one Idempotency-Key of 1 to 200 visible ASCII characters",
            zh="请求须带一个 Idempotency-Key（1 至 200 个可见 ASCII 字符）",
        )
    return keys[0]


def _json(told: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(
        orjson.dumps(told),
        headers={"cache-control": "no-store", **headers},
        media_type="application/json",
    )
