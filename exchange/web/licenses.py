"""Verifying over HTTP, and what verifiers fetch: status lists, the log, the trust bundle.

Everything here is public and needs no token. Uploaded bytes are held in memory, judged in the
sandbox, and forgotten. No page and no address holds anything personal in clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from exchange import bodies
from exchange.database import Role
from exchange.problems import Malformed, TooLarge, WrongMedia, declared
from exchange.publishing import Publisher, utc_now
from exchange.scanned import civil, scanned
from license_vault import sd_jwt, status_list
from license_vault.log import parse_tile_path
from license_vault.trust import TrustBundle
from license_vault.verify import MOST_BYTES, Examined, Report, StatusEvidence, conclude, examine
from schemas.errors import NotFound, Unavailable

router = APIRouter()
HERE = Path(__file__).parent
TEMPLATES = Jinja2Templates(directory=HERE / "templates")

MULTIPART = "multipart/form-data"
TAKEN = ("application/pdf", sd_jwt.MEDIA_TYPE, "application/octet-stream", MULTIPART)
# Room for the boundaries and headers of a form around a file of the largest size.
FORM_ROOM = 64 * 1024
FOR_EVER = "public, max-age=31536000, immutable"
STATIC = {"yizhan.css": "text/css; charset=utf-8", "yizhan.svg": "image/svg+xml"}

PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Sentence(BaseModel):
    """A sentence in both languages."""

    en: str
    zh: str


class VerifiedStep(BaseModel):
    """One numbered step with its evidence; `clause` is what asks for it."""

    number: int
    name: str
    outcome: str
    evidence: str
    title: Sentence
    clause: str


class Verification(BaseModel):
    """The report on a document: a verdict, a stable reason, every step."""

    verdict: str
    reason: str
    message: Sentence
    form: str | None
    at: datetime
    status_as_of: datetime | None
    license: dict[str, str] | None
    steps: list[VerifiedStep]


class Readers:
    """Threads that wait for the sandbox, apart from those on which everything else runs.

    A stranger's slow documents must not hold up a department's call, nor fill the memory.
    """

    def __init__(self, threads: int = 4, waiting: int = 32) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="verify")
        self._room = waiting

    async def examine(self, data: bytes, trust: TrustBundle, at: datetime) -> Examined:
        """Examine a document in the sandbox. Raises `Unavailable` when too many wait already."""
        if self._room <= 0:
            raise Unavailable(
                "too many documents are being verified", zh="核验请求过多，请稍后再试"
            )
        self._room -= 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, examine, data, trust, at)
        finally:
            self._room += 1


READERS = Readers()


class _InMemory(MultiPartParser):
    """Starlette's parser, kept from spooling what was uploaded to a disk."""

    spool_max_size = MOST_BYTES + FORM_ROOM


def publisher(request: Request) -> Publisher:
    """The application's publisher, made when first asked for."""
    state = request.app.state
    if not hasattr(state, "publisher"):
        hub = state.hub
        settings = hub.settings
        state.publisher = Publisher(
            hub.pool,
            lambda: settings.database.connect(Role.HUB),
            hub.signer,
            settings.public_url,
        )
    made: Publisher = state.publisher
    return made


Publishing = Annotated[Publisher, Depends(publisher)]


async def judge(data: bytes, publishing: Publisher) -> Report:
    """Verify a document with this hub's own trust, status lists and log."""
    trust, at = await publishing.trust(lists=False), utc_now()
    examined = await READERS.examine(data, trust, at)
    status = proof = None
    if examined.stopped is None and examined.pointer and examined.facts:
        status = await _status(examined.pointer.uri, publishing)
        proof = await publishing.proof(examined.facts.license_id)
    return conclude(examined, trust, at, status, proof)


@router.post(
    "/v1/verifications",
    summary="Verify a license: a sealed PDF or an SD-JWT VC",
    responses=declared(400, 413, 415, 503),
    response_model=Verification,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media: {"schema": {"type": "string", "format": "binary"}} for media in TAKEN[:3]
            }
            | {
                MULTIPART: {
                    "schema": {
                        "type": "object",
                        "properties": {"file": {"type": "string", "format": "binary"}},
                        "required": ["file"],
                    }
                }
            },
        }
    },
)
async def verify_document(request: Request, publishing: Publishing) -> Response:
    """Any bytes end in a report: VALID, INVALID, INDETERMINATE or UNREADABLE. Nothing is kept."""
    data, _ = await _document(request)
    report = await judge(data, publishing)
    return Response(
        orjson.dumps(report.to_json()), 200, {"cache-control": "no-store"}, "application/json"
    )


@router.get("/verify", response_class=HTMLResponse, include_in_schema=False)
async def verify_page(request: Request) -> Response:
    """The page on which a file is dropped."""
    return _page(request, "verify.html", {})


@router.post("/verify", response_class=HTMLResponse, include_in_schema=False)
async def verify_form(request: Request, publishing: Publishing) -> Response:
    """The same page with a verdict; a form post, so that it needs no script."""
    try:
        data, filename = await _document(request)
        report = await judge(data, publishing)
    except (Malformed, TooLarge, WrongMedia, Unavailable) as err:
        status = 413 if isinstance(err, TooLarge) else 503 if isinstance(err, Unavailable) else 400
        return _page(request, "verify.html", {"problem": {"en": err.message, "zh": err.zh}}, status)
    values = {"report": report.to_json(), "at": civil(report.at), "filename": filename}
    return _page(request, "verify.html", values)


@router.get("/q/{license_id}", response_class=HTMLResponse, include_in_schema=False)
async def scan(request: Request, license_id: str, d: str = "", s: str = "") -> Response:
    """The address in the QR on every face: does it stand, and what should the face show."""
    hub = request.app.state.hub
    found = await scanned(hub.pool, hub.settings, license_id, d, s, utc_now())
    return _page(request, "license.html", found.to_page(), 200 if found.license else 404)


@router.get(
    "/status/{number}",
    summary="A signed status list",
    responses={**declared(404, 422, 503), 200: {"content": {status_list.MEDIA_TYPE: {}}}},
    response_class=Response,
)
async def status(
    number: Annotated[int, PathParameter(examples=[1])], publishing: Publishing
) -> Response:
    """The token of the status list, over the bits that are committed now."""
    if not 0 < number < 2**31:
        raise NotFound("there is no such status list", zh="没有这个状态列表")
    signed = await publishing.status_list(number)
    age = int((publishing.clock() - signed.signed_at).total_seconds())
    headers = {
        "cache-control": f"public, max-age={max(status_list.TTL_SECONDS - age, 0)}",
        "etag": f'"{number}-{signed.version}-{int(signed.signed_at.timestamp())}"',
    }
    return Response(signed.token, 200, headers, status_list.MEDIA_TYPE)


@router.get(
    "/log/checkpoint",
    summary="The license log's signed head (C2SP tlog-checkpoint)",
    responses=declared(503),
    response_class=PlainTextResponse,
)
async def log_checkpoint(publishing: Publishing) -> Response:
    """The head over every entry that is committed now."""
    return PlainTextResponse(await publishing.checkpoint(), headers={"cache-control": "no-cache"})


@router.get(
    "/log/tile/{path:path}",
    summary="A tile of the license log (C2SP tlog-tiles)",
    responses={**declared(404, 422), 200: {"content": {"application/octet-stream": {}}}},
    response_class=Response,
)
async def log_tile(
    path: Annotated[str, PathParameter(examples=["0/000.p/1"])], publishing: Publishing
) -> Response:
    """`<level>/<index>[.p/<width>]` or `entries/<index>[.p/<width>]`; a tile never changes."""
    tile = await publishing.tile(parse_tile_path(path))
    return Response(tile, 200, {"cache-control": FOR_EVER}, "application/octet-stream")


@router.get("/trust", summary="The trust bundle for verifying offline", responses=declared(503))
async def trust_bundle(publishing: Publishing) -> Response:
    """Roots, the log's key and today's status lists, dated."""
    bundle = await publishing.trust()
    return Response(
        orjson.dumps(bundle.to_json(), option=orjson.OPT_INDENT_2),
        200,
        {"cache-control": "no-cache"},
        "application/json",
    )


@router.get("/static/{name}", include_in_schema=False)
async def static(name: str) -> Response:
    """The style sheet and the mark; there is nothing else."""
    if name not in STATIC:
        raise NotFound("there is no such file", zh="没有这个文件")
    content = await asyncio.to_thread((HERE / "static" / name).read_bytes)
    return Response(content, 200, {"cache-control": "public, max-age=300"}, STATIC[name])


async def _status(uri: str, publishing: Publisher) -> StatusEvidence | None:
    """This hub's own list at that address; other hubs are not asked."""
    number = uri.rpartition("/")[2]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    try:
        return StatusEvidence((await publishing.status_list(int(number))).token, fresh=True)
    except (NotFound, Unavailable):
        return None


async def _document(request: Request) -> tuple[bytes, str]:
    """The uploaded bytes and, from a form, the file's name."""
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media not in TAKEN:
        told = ", ".join(TAKEN)
        raise WrongMedia(f"the body must be one of {told}", zh=f"请求体必须为 {told} 之一")
    if media != MULTIPART:
        return await bodies.read(request, media, MOST_BYTES), ""
    return await _from_form(request, await bodies.read(request, media, MOST_BYTES + FORM_ROOM))


async def _from_form(request: Request, raw: bytes) -> tuple[bytes, str]:
    async def stream() -> AsyncIterator[bytes]:
        yield raw
        yield b""

    parser = _InMemory(request.headers, stream(), max_files=1, max_fields=4)  # type: ignore[arg-type]  # an iterator suffices
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError, KeyError) as err:
        raise Malformed("the form cannot be read", zh="表单无法解析") from err
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Malformed("the form holds no file named `file`", zh="请选择要核验的文件")
    return await file.read(), (file.filename or "")[:120]


def _page(request: Request, name: str, values: dict[str, Any], status: int = 200) -> Response:
    return TEMPLATES.TemplateResponse(request, name, values, status, PAGE_HEADERS)
