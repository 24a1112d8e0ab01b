"""Delivered bytes as UTF-8, by the stream: decoded strictly, without byte order marks and NULs."""

from __future__ import annotations

import codecs
import io
from typing import IO, Any

from connectors.parsing.faults import Fault
from connectors.parsing.spec import MEGABYTE

_UTF8 = "utf-8"
_TELLING = 24  # so many bytes beyond ASCII are never UTF-8 by chance
_MARKS = {_UTF8: b"\xef\xbb\xbf", "gb18030": b"\x84\x31\x95\x33"}


class Text(io.RawIOBase):
    """A text file as UTF-8. Raises `Fault` with the line at the first byte that is none.

    UTF-8 itself is handed on as it is unless `decode` is set: whoever reads it checks it faster.
    `fault` keeps what was raised, for a reader that puts an error of its own in its place.
    """

    def __init__(self, raw: IO[bytes], encoding: str, *, decode: bool = False) -> None:
        super().__init__()
        self._raw = raw
        self._encoding = codecs.lookup(encoding).name
        self._foreign = self._encoding != _UTF8
        decoder = codecs.getincrementaldecoder(encoding)
        self._decoder = decoder("strict") if decode or self._foreign else None
        self._pending = b""
        self._begun = False
        self._told = not self._foreign
        self._last = b""
        self.fault: Fault | None = None
        self.lines = 0
        self.returns = 0

    @property
    def ended(self) -> bool:
        """Whether what was read so far ends with a line."""
        return self._last in (b"\n", b"\r", b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        while filled < len(buffer) and (part := self._pending or self._next()):
            part = part[: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            self._pending = self._pending[len(part) :]
            filled += len(part)
        return filled

    def first(self) -> bytes:
        """The beginning, a megabyte or all there is; it is still to be read."""
        seen = bytearray()
        while len(seen) < MEGABYTE and (part := self.read(MEGABYTE)):
            seen += part
        self._pending = bytes(seen) + self._pending
        return bytes(seen)

    def pass_over(self, count: int) -> None:
        """Leave out so many bytes of what `first` told."""
        self._pending = self._pending[count:]

    def _next(self) -> bytes:
        try:
            while not self._pending and (chunk := self._raw.read(MEGABYTE)):
                self._pending = self._checked(chunk)
            return self._pending or self._checked(b"")
        except Fault as fault:
            self.fault = fault
            raise

    def _checked(self, chunk: bytes) -> bytes:
        if not self._begun:
            self._begun, chunk = True, self._unmarked(chunk)
        if not self._told:
            self._check_not_utf8(chunk)
        if (at := chunk.find(b"\0")) >= 0:
            raise Fault("nul-byte", line=self._line(chunk, at))
        text = self._decoded(chunk)
        self.lines += chunk.count(b"\n")
        self.returns += chunk.count(b"\r")
        self._last = chunk[-1:] or self._last
        return text

    def _decoded(self, chunk: bytes) -> bytes:
        if self._decoder is None:
            return chunk
        try:
            return self._decoder.decode(chunk, final=not chunk).encode()
        except UnicodeDecodeError as err:
            # err.object begins with what the chunk before left of a letter.
            raise Fault("wrong-encoding", line=self._line(err.object, err.start)) from None

    def _unmarked(self, chunk: bytes) -> bytes:
        if self._foreign and chunk.startswith(_MARKS[_UTF8]):
            raise Fault("is-utf8")
        return chunk.removeprefix(_MARKS.get(self._encoding, b"\xef\xbb\xbf"))

    def _check_not_utf8(self, chunk: bytes) -> None:
        """UTF-8 is often valid GB 18030 by accident, and nonsense; the other way never happens."""
        if len(chunk.translate(None, bytes(range(128)))) < _TELLING:
            return
        self._told = True
        try:
            codecs.getincrementaldecoder(_UTF8)("strict").decode(chunk)
        except UnicodeDecodeError:
            return
        raise Fault("is-utf8")

    def _line(self, chunk: bytes, at: int) -> int:
        return self.lines + chunk.count(b"\n", 0, max(at, 0)) + 1
