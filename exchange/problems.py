"""Problem documents (RFC 9457): the one table from an error's class to what HTTP says of it.

Inside, errors say what happened; here they get a status, who is to blame, and whether the same call
may be tried again. A document never repeats what the caller sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import orjson
from fastapi import Response
from pydantic import BaseModel, ConfigDict

from schemas.errors import (
    Invalid,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
    WrongState,
    YizhanError,
)

Blame = Literal["client", "exchange", "source"]
MEDIA_TYPE = "application/problem+json"


class Malformed(Invalid):
    """The call cannot be read: not JSON, a wrong shape, a member too many."""

    code = "malformed"


class Unprocessable(Invalid):
    """The call can be read, and asks for something that does not exist or does not fit."""

    code = "unprocessable"


class TooLarge(Invalid):
    """The body is longer than this address takes."""

    code = "too-large"


class WrongMedia(Invalid):
    """The body is not of the media type that this address takes."""

    code = "wrong-media-type"


class WrongMethod(Invalid):
    """There is such an address, but not with this method."""

    code = "wrong-method"


class Exhausted(Refused):
    """A quota is used up; time gives it back."""

    code = "quota-exhausted"


class SourceUnavailable(Unavailable):
    """The library that should answer does not."""

    code = "source-unavailable"


class LedgerUnavailable(Unavailable):
    """The evidence cannot be written, so nothing is answered."""

    code = "ledger-unavailable"


class NotYetPlaced(Unavailable):
    """The entry is committed and gets its place in the tree within a second."""

    code = "not-yet-placed"


@dataclass(frozen=True, slots=True)
class Kind:
    """What HTTP says of an error's class."""

    status: int
    blame: Blame
    retry: bool
    title: str
    zh: str


KINDS: Mapping[type[BaseException], Kind] = {
    Malformed: Kind(400, "client", False, "The call cannot be read", "请求无法解析"),
    Unauthenticated: Kind(401, "client", False, "The caller is not known", "调用方身份未通过验证"),
    Refused: Kind(403, "client", False, "A rule refuses this call", "规则不允许此次调用"),
    NotFound: Kind(404, "client", False, "There is no such thing", "所请求的对象不存在"),
    WrongMethod: Kind(405, "client", False, "Not with this method", "不支持此请求方法"),
    WrongState: Kind(409, "client", False, "Not in this state", "当前状态不允许此操作"),
    TooLarge: Kind(413, "client", False, "The body is too long", "请求体过大"),
    WrongMedia: Kind(415, "client", False, "Not this media type", "不支持此媒体类型"),
    Invalid: Kind(422, "client", False, "The call does not fit", "请求内容不符合要求"),
    Exhausted: Kind(429, "client", True, "The quota is used up", "调用额度已用尽"),
    SourceUnavailable: Kind(503, "source", True, "The source does not answer", "数据来源暂不可用"),
    Unavailable: Kind(503, "exchange", True, "Try again", "服务暂不可用，请稍后重试"),
    YizhanError: Kind(500, "exchange", False, "The exchange failed", "系统内部错误"),
    Exception: Kind(500, "exchange", False, "The exchange failed", "系统内部错误"),
}


def kind_of(error: BaseException) -> Kind:
    """The row of the nearest class; every exception has one."""
    return next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)


class Message(BaseModel):
    """A sentence in both languages."""

    en: str
    zh: str


class Problem(BaseModel):
    """A problem document, as `/openapi.json` declares it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    blame: Blame
    retry: bool
    rule: str | None = None
    message: Message
    receipt: str | None = None


def document(error: BaseException) -> dict[str, object]:
    """The problem document of an error; one that is not ours gives nothing of itself away."""
    kind = kind_of(error)
    ours = isinstance(error, YizhanError)
    code = error.code if isinstance(error, YizhanError) else "internal"
    message = error.message if isinstance(error, YizhanError) else kind.title
    chinese = error.zh if isinstance(error, YizhanError) else kind.zh
    body: dict[str, object] = {
        "type": f"urn:yizhan:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": message,
        "code": code,
        "blame": kind.blame,
        "retry": kind.retry,
        "rule": error.rule if isinstance(error, YizhanError) else None,
        "message": {"en": message, "zh": chinese if chinese != message else kind.zh},
    }
    if ours and (receipt := getattr(error, "receipt", None)):
        body["receipt"] = receipt
    return body


def response(error: BaseException, members: Mapping[str, object] = {}) -> Response:
    """The HTTP answer that an error becomes, with further members if an older protocol has some."""
    kind = kind_of(error)
    headers = {"cache-control": "no-store"}
    if kind.status == 401:
        # RFC 9449 section 7.1: say which scheme and which algorithms are taken.
        headers["www-authenticate"] = 'DPoP algs="ES256 EdDSA"'
    if kind.retry:
        headers["retry-after"] = "60" if kind.status == 429 else "1"
    headers |= vars(error).get("headers", {})  # who knows better when to come back says so
    content = orjson.dumps(document(error) | dict(members))
    return Response(content, kind.status, headers, MEDIA_TYPE)


def declared(*statuses: int) -> dict[int | str, dict[str, object]]:
    """What a route declares in OpenAPI for the statuses it may answer with a problem."""
    titles = {kind.status: kind.title for kind in KINDS.values()}
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": titles[status], "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }
