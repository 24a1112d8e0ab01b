"""What can be wrong with a delivered file: a code, numbers that say where, and a sentence for it.

A fault never repeats what the file holds. A child reports a code and numbers; the sentence is made
by whoever asked, who believes nothing else of it.
"""

from __future__ import annotations

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    "empty": "is empty",
    "no-header": "has no header: its first line names none of the columns that are agreed",
    "header-too-long": "has a header of more than a megabyte",
    "nameless-column": "has a header whose column {column} has no name",
    "name-twice": "has a header that names column {column} a second time",
    "wrong-encoding": "is not in the agreed encoding at line {line}",
    "is-utf8": "is UTF-8, which is not the agreed encoding",
    "nul-byte": "holds a NUL byte at line {line}: it is damaged, or UTF-16",
    "wrong-fields": "has {have} fields instead of {want} at line {line}",
    "bad-quoting": "has a quote that is not closed, or closed too early, at line {line}",
    "torn-end": "ends within line {line}: its last line is not complete",
    "not-csv": "is no CSV of the agreed form",
    "not-json": "has no JSON at line {line}",
    "not-an-object": "has JSON that is no object at line {line}",
    "key-twice": "names a key twice at line {line}",
    "new-key": "has a key at line {line} that neither the agreement nor its beginning has",
    "bad-text": "holds text at line {line} that is no Unicode",
    "line-too-long": "has a line of more than 64 megabytes at line {line}",
    "not-gzip": "is no gzip file, or a damaged one",
    "cut-short": "ends before its packed data do",
    "not-zip": "is no ZIP file, or a damaged one",
    "zip-empty": "holds no file",
    "zip-many": "holds {have} files where one is agreed",
    "zip-encrypted": "holds an encrypted file",
    "zip-method": "is packed by a method other than deflate",
    "zip-path": "holds a file whose name leads out of the archive",
    "zip-overlap": "holds files that overlap",
    "zip-names": "calls its file by two names",
    "unpacks-too-far": "unpacks to more than {most} megabytes, or to over 300 times its size",
    "packed-too-large": "unpacks to more than {most} megabytes, too much for this form",
    "not-xlsx": "is no XLSX workbook",
    "encrypted-workbook": "is an XLS workbook or one with a password; XLSX without one is agreed",
    "no-sheet": "has no sheet of the agreed name",
    "many-sheets": "has {have} sheets that hold something; the manifest must name one",
    "long-number": (
        "holds a number of more than 15 digits in row {line}, whose last digits the workbook has"
        " lost; its column must be formatted as text"
    ),
    "merged-cells": "has merged cells in row {line}, of which only the first holds a value",
    "not-parquet": "is no Parquet file, or a damaged one",
    "column-type": "has a column {column} whose type is no text, number or time",
    "out-of-memory": "needs more memory than a file may",
    "out-of-time": "needs more time than a file may",
    "died": "ends its reader",
    "unreadable": "cannot be read",
}


class Fault(Exception):
    """A delivered file is wrong. `code` is a key of `SENTENCES`, `numbers` fill it in."""

    def __init__(self, code: str, **numbers: int) -> None:
        super().__init__(code)
        self.code = code
        self.numbers = numbers


def sentence(code: str, numbers: Mapping[str, int]) -> str:
    """What to say of a fault; an answer that makes no sense says that its reader died."""
    try:
        return SENTENCES[code].format_map(numbers)
    except KeyError:
        return SENTENCES["died"]
