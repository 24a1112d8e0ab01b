"""What stands in a PDF, as far as judging a seal needs it. pyHanko parses, strictly.

This reads hostile bytes: call it inside the sandbox only.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic, misc
from pyhanko.pdf_utils.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject
from pyhanko.pdf_utils.reader import PdfFileReader

RECORD_NAME = "record.json"
LONGEST_RECORD = 256 * 1024
MOST_OBJECTS = 50_000

# What makes a document do or show something else than its pages. ISO 19005-3 (PDF/A-3) 6.5 and
# 6.6 forbid nearly all of it; layers are how "shadow" documents hide a second face.
ACTIVE_KEYS = frozenset(
    {"/JS", "/JavaScript", "/AA", "/OpenAction", "/XFA", "/OCProperties", "/RichMediaContent"}
    | {"/Alternates", "/Collection", "/Renditions", "/URI", "/Launch", "/NeedAppearances"}
)
ACTIVE_ACTIONS = frozenset(
    {"/JavaScript", "/Launch", "/URI", "/GoTo", "/GoToR", "/GoToE", "/SubmitForm", "/ResetForm"}
    | {"/ImportData", "/Rendition", "/RichMediaExecute", "/Movie", "/Sound", "/Hide", "/Named"}
    | {"/SetOCGState", "/Trans", "/GoTo3DView", "/Thread"}
)


class Damaged(Exception):
    """The file breaks the rules of PDF, or is more than we are willing to read."""


@dataclass(frozen=True)
class Signature:
    """The one signature's dictionary, as it stands in the file."""

    contents: bytes
    byte_range: tuple[int, ...]
    subfilter: str
    permissions: int | None
    certifies: bool


class Document:
    """A parsed PDF. Parsed, *not* verified."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            self._reader = PdfFileReader(io.BytesIO(data), strict=True)
            self.encrypted = bool(self._reader.encrypted)
            self.root = self._reader.root
            self._signatures = [] if self.encrypted else list(self._find_signatures())
        except RecursionError as err:
            raise Damaged("nested deeper than any document") from err

    @property
    def signatures(self) -> int:
        return len(self._signatures)

    @property
    def revisions(self) -> int:
        return int(self._reader.total_revisions)

    def signature(self) -> Signature:
        """The first signature; the caller has counted them."""
        held = self._signatures[0]
        return Signature(
            contents=_contents(held),
            byte_range=tuple(int(each) for each in held.raw_get("/ByteRange")),
            subfilter=str(_value(held, "/SubFilter", "")),
            permissions=_permissions(held),
            certifies=self._certified_by(held),
        )

    def all_contents(self) -> list[bytes]:
        """What stands in /Contents of every signature."""
        return [_contents(each) for each in self._signatures]

    def active_content(self) -> Iterator[str]:
        """Everything interactive in the file, reachable or not from a page."""
        for value in self._objects():
            for key in value:
                if str(key) in ACTIVE_KEYS:
                    yield str(key)
            if str(_value(value, "/S", "")) in ACTIVE_ACTIONS:
                yield f"action {value['/S']}"
            if _is_annotation(value) and not self._is_our_widget(value):
                yield f"annotation {value['/Subtype']}"
            if "/FT" in value and str(value["/FT"]) != "/Sig":
                yield "form field"

    def keywords(self) -> str:
        """The document information's keywords, where the face repeats what it is a face of."""
        info = _value(self._reader.trailer_view, "/Info")
        return str(_value(info, "/Keywords", "")) if isinstance(info, DictionaryObject) else ""

    def records(self) -> list[bytes]:
        """The attached files named as our canonical record is."""
        found = []
        for value in self._objects():
            if str(_value(value, "/Type", "")) in ("/Filespec", "/F") or "/EF" in value:
                names = {str(_value(value, key, "")) for key in ("/F", "/UF")}
                if RECORD_NAME in names:
                    found.append(self._attached(value))
        return found

    def _attached(self, specification: DictionaryObject) -> bytes:
        stream = specification["/EF"]["/F"]
        if not isinstance(stream, StreamObject):
            raise Damaged("an attached file is not a stream")
        data = bytes(stream.data)
        if len(data) > LONGEST_RECORD:
            raise Damaged("the attached record is larger than any of ours")
        return data

    def _find_signatures(self) -> Iterator[DictionaryObject]:
        """Every dictionary that is a signature, whether or not a field leads to it."""
        for value in self._objects():
            if "/ByteRange" in value:
                yield value

    def _certified_by(self, signature: DictionaryObject) -> bool:
        # ISO 32000-2 12.8.2.2: the certifying signature is the one that /Perms /DocMDP names.
        permissions = _value(self.root, "/Perms")
        if not isinstance(permissions, DictionaryObject) or set(permissions) != {"/DocMDP"}:
            return False
        return permissions["/DocMDP"] is signature

    def _is_our_widget(self, annotation: DictionaryObject) -> bool:
        is_field = str(_value(annotation, "/FT", "")) == "/Sig"
        return is_field and _value(annotation, "/V") is self._signatures[0]

    def _objects(self) -> Iterator[DictionaryObject]:
        """Every dictionary in the current revision, once, without recursion."""
        waiting: list[Any] = [self._reader.trailer_view]
        seen: set[Any] = set()
        visited = 0
        while waiting:
            value = waiting.pop()
            if isinstance(value, IndirectObject):
                reference = (value.idnum, value.generation)
                if reference in seen:
                    continue
                seen.add(reference)
                value = value.get_object()
            visited += 1
            if visited > MOST_OBJECTS:
                raise Damaged("more objects than any license has")
            if isinstance(value, DictionaryObject):
                yield value
                waiting.extend(value.raw_get(key) for key in value)
            elif isinstance(value, ArrayObject):
                waiting.extend(value.raw_get(index) for index in range(len(value)))


def _contents(signature: DictionaryObject) -> bytes:
    contents = signature.raw_get("/Contents")
    if not isinstance(contents, generic.ByteStringObject | generic.TextStringObject):
        raise Damaged("/Contents is not a string")
    return bytes(contents.original_bytes)


def _value(held: DictionaryObject, key: str, default: Any = None) -> Any:
    """The value behind any reference; pyHanko's own `get` does not follow one."""
    return held[key] if key in held else default  # noqa: SIM401 - `get` is what it must not be


def _permissions(signature: DictionaryObject) -> int | None:
    references = _value(signature, "/Reference", [])
    found = [
        _value(held["/TransformParams"], "/P")
        for held in references
        if str(_value(held, "/TransformMethod", "")) == "/DocMDP"
    ]
    return int(found[0]) if len(found) == 1 and found[0] is not None else None


def _is_annotation(value: DictionaryObject) -> bool:
    return "/Subtype" in value and "/Rect" in value


READ_ERRORS = (Damaged, misc.PdfError, ValueError, TypeError, KeyError, IndexError, AttributeError)
