"""The ledger's public face: its signed head, and the proof of an entry for whoever has its receipt.

A receipt is 74 random bits and only its caller was told them, so it is the right to the proof. An
entry names no person.
"""

from __future__ import annotations

from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from exchange.ledger import checkpoints, proofs
from exchange.problems import declared
from exchange.web.caller import hub_of
from schemas.errors import NotFound

router = APIRouter(tags=["ledger"])


class ProofAnswer(BaseModel):
    """An entry's exact text, its place, the path to the root, and the signed head."""

    entry: str
    index: int
    path: list[str]
    checkpoint: str


@router.get(
    "/v1/ledger/checkpoint",
    summary="The signed head of the ledger",
    response_class=PlainTextResponse,
    responses=declared(503),
)
async def checkpoint(request: Request) -> PlainTextResponse:
    """A C2SP checkpoint over every entry that has its place now."""
    hub = hub_of(request)
    note = await hub.with_ledger(
        lambda conn: checkpoints.current(conn, hub.ledger_origin, hub.signer)
    )
    return PlainTextResponse(note, headers={"cache-control": "no-store"})


@router.get(
    "/v1/ledger/receipts/{receipt}/proof",
    summary="The proof of an entry",
    response_model=None,
    responses={200: {"model": ProofAnswer}, **declared(404, 503)},
)
async def proof(receipt: str, request: Request) -> Response:
    """Checked with the ledger's public key and nothing else: `yizhan ledger check`."""
    hub = hub_of(request)
    wanted = _receipt(receipt)
    made = await hub.with_ledger(
        lambda conn: proofs.prove(conn, wanted, hub.ledger_origin, hub.signer)
    )
    return Response(
        orjson.dumps(made.document()),
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def _receipt(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("there is no such receipt", zh="回执不存在") from None
