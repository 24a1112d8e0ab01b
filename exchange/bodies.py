"""Reading what strangers send: a size cap before parsing, then JSON that means one thing only.

orjson refuses what is not JSON (NaN, lone surrogates, bad UTF-8); what it lets through although two
readers may disagree about it, duplicate keys and NUL, is refused here. Nothing is echoed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NoReturn, TypeVar
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from exchange.problems import Malformed, TooLarge, WrongMedia
from schemas.message_signature import content_digest

LIMIT = 256 * 1024
MEMBERS_OF_A_FORM = 16

Body = TypeVar("Body", bound=BaseModel)


async def read(request: Request, media_type: str, limit: int = LIMIT) -> bytes:
    """Return the body. Raises `WrongMedia` or `TooLarge`, the latter before it is all read."""
    if _media_type(request) != media_type:
        raise WrongMedia(f"the body must be {media_type}", zh=f"请求体必须为 {media_type}")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 12 or int(length) > limit):
        _too_large(limit)
    parts, size = list[bytes](), 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                _too_large(limit)
            parts.append(part)
    except ClientDisconnect:
        raise Malformed("the body ended early", zh="请求体不完整") from None
    return _as_digested(request, b"".join(parts))


def strict_json(raw: bytes) -> object:
    """Parse JSON that has one meaning. Raises `Malformed`."""
    try:
        orjson.loads(raw)
        value: object = _DECODER.decode(raw.decode())
    except RecursionError:
        raise Malformed("the JSON is nested too deep", zh="JSON 嵌套过深") from None
    except (orjson.JSONDecodeError, ValueError):
        raise Malformed("the body is not JSON in UTF-8", zh="请求体不是有效的 UTF-8 JSON") from None
    if b"\\u0000" in raw and _holds_nul(value):
        raise Malformed("a text in the JSON holds NUL", zh="JSON 文本中含有 NUL 字符")
    return value


def strict_model(model: type[Body], raw: bytes) -> Body:
    """Parse a body into its model: no member too many, no type bent. Raises `Malformed`."""
    value = strict_json(raw)
    try:
        return model.model_validate(value, strict=True)
    except ValidationError as err:
        raise Malformed(_what_is_wrong(err, model), zh="请求体的结构不符合接口定义") from None
    except RecursionError:
        raise Malformed("the JSON is nested too deep", zh="JSON 嵌套过深") from None


def strict_form(raw: bytes) -> dict[str, str]:
    """Parse a form in which every name stands once. Raises `Malformed`."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            max_num_fields=MEMBERS_OF_A_FORM,
            errors="strict",
        )
    except ValueError:
        raise Malformed("the body is not a form", zh="请求体不是有效的表单") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise Malformed("a name stands twice in the form", zh="表单中有重复的名称")
    return dict(pairs)


def _as_digested(request: Request, content: bytes) -> bytes:
    """RFC 9530 section 2: where a digest is told, and perhaps signed, it is the content's."""
    told = request.headers.getlist("content-digest")
    if told and told != [content_digest(content)]:
        raise Malformed("the body is not the one that was digested", zh="请求体与摘要不符")
    return content


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _too_large(limit: int) -> NoReturn:
    raise TooLarge(f"the body is longer than {limit} bytes", zh=f"请求体超过 {limit} 字节")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("a name stands twice in one JSON object", zh="JSON 对象中有重复的名称")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates)


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(_holds_nul, value))


def _what_is_wrong(err: ValidationError, model: type[BaseModel]) -> str:
    """Name the places by our own names only: a stranger's member name may be a person's number."""
    known = _names(model)
    places = sorted(
        f"{'.'.join(_known(step, known) for step in fault['loc']) or 'the body'}: {fault['type']}"
        for fault in err.errors(include_url=False, include_context=False, include_input=False)[:8]
    )
    return "the body does not fit: " + "; ".join(dict.fromkeys(places))


def _known(step: str | int, known: Iterable[str]) -> str:
    return str(step) if isinstance(step, int) or step in known else "(unknown member)"


def _names(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema()
    shapes = [schema, *schema.get("$defs", {}).values()]
    return {name for shape in shapes for name in shape.get("properties", {})}
