"""Asking: the catalogue, query, verify, and a citizen's own log.

Identifiers of persons travel in bodies only. A body is read after the caller is known, by our own
strict reader; what happens then is `exchange/answering.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from exchange import bodies, resources
from exchange.answering import Comparison
from exchange.bodies import Body
from exchange.forms import Verdict
from exchange.modes.allowance import Allowance
from exchange.problems import Malformed, declared
from exchange.tokens import Bearer
from exchange.web.caller import hub_of, proved, record
from exchange.web.openapi import request_body
from schemas import grant, identifiers, predicates
from schemas.errors import Invalid, YizhanError


class Direct(APIRoute):
    """A route that hands the request to its function as it came: what FastAPI would read and check
    beforehand is read here by our own strict reader, once."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself, with what the path holds."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            answer: Response = await endpoint(request=request, **request.path_params)
            return answer

        return handle


router = APIRouter(tags=["exchange"], route_class=Direct)
JSON = "application/json"
REFUSALS = declared(400, 401, 403, 404, 413, 415, 422, 429, 503)
LIKE_A_PERSON = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{15})(?![0-9Xx])")


def _names_nobody(text: str) -> str:
    """The authority is kept in clear, so it may not hold a person's number."""
    for found in LIKE_A_PERSON.findall(text):
        try:
            identifiers.resident(found)
        except Invalid:
            continue
        raise ValueError("holds a resident number")
    return text


Word = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Phrase = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_names_nobody)
]
Claim = str | bool | int | float


class Strict(BaseModel):
    """A body of ours: no member too many, no type bent."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SubjectBody(Strict):
    """Whom the call is about."""

    type: Word = Field(examples=["cn.resident_id"])
    id: Word

    def noun(self) -> grant.Subject:
        """As the exchange knows it."""
        return grant.Subject(self.type, self.id)


class AuthorityBody(Strict):
    """Why, under which law, for which item and case, and which officer acts."""

    purpose: Phrase
    basis: Phrase
    item: Phrase
    case: Phrase
    officer: Phrase

    def noun(self) -> grant.Authority:
        """As the exchange knows it."""
        return grant.Authority(self.purpose, self.basis, self.item, self.case, self.officer)


class QueryBody(Strict):
    """A query: one subject, named fields."""

    subject: SubjectBody
    fields: list[Name] = Field(min_length=1, max_length=100)
    authority: AuthorityBody
    consent: Word | None = None


class VerifyBody(Strict):
    """A verification: one subject, and what is claimed of it."""

    subject: SubjectBody
    claims: dict[Name, Claim] = Field(min_length=1, max_length=100)
    authority: AuthorityBody
    fields: list[Name] | None = None
    consent: Word | None = None


class PredicateBody(Strict):
    """Questions of the fixed catalogue about one subject, each as it was granted."""

    subject: SubjectBody
    predicates: list[Name] = Field(min_length=1, max_length=50, examples=[["age_at_least(18)"]])
    authority: AuthorityBody
    consent: Word | None = None


class AccessesBody(Strict):
    """A citizen's request for the log of who asked about them."""

    subject: SubjectBody
    authority: AuthorityBody


class ServedValue(BaseModel):
    """A value, whose it is, since when it stands, and whether it is masked."""

    value: Any
    source: str
    as_of: str
    quality: str
    masked: bool


class QueryAnswer(BaseModel):
    """The values that the grant shows, and the receipt of the evidence."""

    found: bool
    values: dict[str, ServedValue]
    receipt: str


class VerifyAnswer(BaseModel):
    """A verdict for each claim."""

    verdicts: dict[str, Verdict]
    receipt: str


class ToldAnswer(BaseModel):
    """The answer to one question: yes, no or cannot_say; whose it is, and as of when."""

    answer: str
    source: str
    as_of: str | None


class PredicateAnswer(BaseModel):
    """The answer to each question."""

    answers: dict[str, ToldAnswer]
    receipt: str


class AccessesAnswer(BaseModel):
    """Who asked about the subject, the newest first."""

    accesses: list[dict[str, Any]]
    receipt: str


@router.get("/v1/resources", summary="What can be asked", response_model=None)
async def catalogue(request: Request) -> Response:
    """Every resource with its fields, labels, classes and source authority."""
    return _json({"resources": [_entry(each) for each in resources.catalogue()]})


@router.post(
    "/v1/resources/{code}/query",
    summary="Ask for fields of one subject",
    response_model=None,
    responses={200: {"model": QueryAnswer}, **REFUSALS},
    openapi_extra=request_body(QueryBody),
)
async def query(code: str, request: Request) -> Response:
    """Answered in the forms that the grant shows, with a receipt for the ledger's evidence."""
    bearer, body = await _received(request, QueryBody, code)
    answer = await hub_of(request).answering.query(
        bearer, code, body.subject.noun(), body.fields, body.authority.noun(), body.consent
    )
    said = {"found": answer.found, "values": answer.values, "receipt": answer.receipt}
    return _json(said, answer.allowance)


@router.post(
    "/v1/resources/{code}/verify",
    summary="Compare claims about one subject",
    response_model=None,
    responses={200: {"model": VerifyAnswer}, **REFUSALS},
    openapi_extra=request_body(VerifyBody),
)
async def verify(code: str, request: Request) -> Response:
    """Match, mismatch or cannot_say for each claim; no value is disclosed."""
    bearer, body = await _received(request, VerifyBody, code)
    answer: Comparison = await hub_of(request).answering.verify(
        bearer, code, body.subject.noun(), body.claims, body.authority.noun(), body.consent
    )
    return _json({"verdicts": answer.verdicts, "receipt": answer.receipt}, answer.allowance)


@router.post(
    "/v1/resources/{code}/predicate",
    summary="Ask yes-or-no questions of the fixed catalogue about one subject",
    response_model=None,
    responses={200: {"model": PredicateAnswer}, **REFUSALS},
    openapi_extra=request_body(PredicateBody),
)
async def predicate(code: str, request: Request) -> Response:
    """Yes, no or cannot_say for each question that the grant names; no value is disclosed."""
    bearer, body = await _received(request, PredicateBody, code)
    answer = await hub_of(request).answering.predicate(
        bearer, code, body.subject.noun(), body.predicates, body.authority.noun(), body.consent
    )
    return _json({"answers": answer.told, "receipt": answer.receipt}, answer.allowance)


@router.post(
    "/v1/subjects/accesses",
    summary="Who asked about this subject",
    response_model=None,
    responses={200: {"model": AccessesAnswer}, **REFUSALS},
    openapi_extra=request_body(AccessesBody),
)
async def accesses(request: Request) -> Response:
    """The citizen's own log, for a client with a grant of `ledger.accesses`."""
    bearer, body = await _received(request, AccessesBody)
    receipt, found = await hub_of(request).answering.accesses(
        bearer, body.subject.noun(), body.authority.noun()
    )
    return _json({"accesses": found, "receipt": receipt})


async def _received(
    request: Request, model: type[Body], code: str | None = None
) -> tuple[Bearer, Body]:
    """Who calls and what is asked; a call that does not get further is recorded here."""
    bearer = None
    try:
        bearer = proved(request)
        if code is not None:
            resources.find(code)
        body = bodies.strict_model(model, await bodies.read(request, JSON))
        if isinstance(body, VerifyBody) and body.fields not in (None, list(body.claims)):
            raise Malformed("fields and claims name different fields", zh="字段与主张不一致")
    except YizhanError as err:
        await record(request, err, bearer)
        raise
    return bearer, body


def _json(value: object, left: Allowance | None = None) -> Response:
    content = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    headers = {"cache-control": "no-store"} | (left.headers() if left else {})
    return Response(content, media_type=JSON, headers=headers)


def _entry(each: Any) -> dict[str, Any]:
    return {
        "code": each.id,
        "version": each.version,
        "name": each.name_zh,
        "purpose": each.purpose,
        "kind": each.kind,
        "cardinality": each.cardinality,
        "authority": {"code": each.authority.code, "name": each.authority.name_zh},
        "subjects": sorted(each.subjects),
        "freshness_seconds": int(each.freshness.total_seconds()),
        "predicates": [
            {
                "name": one.name,
                "label": one.label_zh,
                "argument": one.argument,
                "subjects": sorted(one.subjects),
            }
            for one in predicates.of(each).values()
        ],
        "fields": [
            {
                "name": field.name,
                "label": field.label_zh,
                "short_name": field.short_name,
                "type": field.type,
                "classification": field.classification,
                "share_class": field.share_class,
                "withheld_by": field.withheld_by,
            }
            for field in each.fields
        ],
    }
