"""Every way in which a delivered file is wrong has a name, and a line where there is one."""

from __future__ import annotations

import io
import json
import string
import zipfile
from collections.abc import Sequence

import pyarrow as pa
import pytest

from connectors.parsing.faults import SENTENCES, Fault, sentence
from connectors.parsing.spec import Spec
from tests.connectors.parsing.reading import fault_of, rows_of
from tests.connectors.parsing.test_formats import parquet, zipped
from tests.connectors.parsing.workbooks import formula, number, sheet, table, text, workbook

GB = Spec("csv", encoding="gb18030")
XLSX = Spec("xlsx")
DIGITS = "330102199001011234"
LONG = "中华人民共和国浙江省永康市"


class TestCsv:
    @pytest.mark.parametrize(
        ("data", "spec", "fault"),
        [
            (b"", GB, ("empty", None)),
            (b"\r\n\r\n", GB, ("empty", None)),
            (b"A,B\n1,2\n1,2,3\n", GB, ("wrong-fields", 3)),
            (b"A,B\n1,2\n\n1\n", GB, ("wrong-fields", 4)),
            (b'A,B\n"1\n1",2\n3\n', GB, ("wrong-fields", 4)),
            (b'A,B\n1,2\n3,"4\n5,6\n', GB, ("bad-quoting", 3)),
            (b'A,B\n"1,2\n3,4\n5"x,6\n', GB, ("bad-quoting", 2)),
            (b"A,B\n1,2\n3,\x004\n", GB, ("nul-byte", 3)),
            ("A,B\n1,2\n".encode("utf-16-le"), GB, ("nul-byte", 1)),
            (f"A,B\n1,{LONG}\n".encode(), GB, ("is-utf8", None)),
            (b"\xef\xbb\xbfA,B\n1,2\n", GB, ("is-utf8", None)),
            (f"A,B\n1,2\n3,{LONG}\n".encode("gb18030"), Spec("csv"), ("wrong-encoding", 3)),
            (f"{LONG},B\n1,2\n".encode("gb18030"), Spec("csv"), ("wrong-encoding", 1)),
            (b"A,B\n1,\xff\xff\n", GB, ("wrong-encoding", 2)),
            (b"A,,C\n1,2,3\n", GB, ("nameless-column", None)),
            (b"A,B,\n1,2,3\n", GB, ("nameless-column", None)),
            (b"A,B,A\n1,2,3\n", GB, ("name-twice", None)),
            (b"1,2\n3,4\n", Spec("csv", columns=("A", "B")), ("no-header", None)),
            (b"A;B\n1;2\n", Spec("csv", columns=("A", "B")), ("no-header", None)),
            (b"A,B\n1,2\n3,4", Spec("csv", open_end=False), ("torn-end", 3)),
            (b"A,B\n1,2\n3", Spec("csv", open_end=False), ("wrong-fields", 3)),
            (b'"A,B\n1,2\n', GB, ("bad-quoting", 1)),
            (b"A" * (3 << 20), GB, ("header-too-long", None)),
            (b"A,B\n1,2\n3,\"" + b"x" * (20 << 20), GB, ("bad-quoting", 3)),
        ],
    )  # fmt: skip
    def test_named(self, data: bytes, spec: Spec, fault: tuple[str, int | None]) -> None:
        assert fault == fault_of(data, spec)

    @pytest.mark.parametrize("at", [3, 70_000, 119_999])
    def test_the_line_far_into_a_file(self, at: int) -> None:
        """In whichever block: the line is that of the file."""
        lines = [f"{n},{LONG}" for n in range(120_000)]
        lines[at] += ",shifted"
        data = ("A,B\n" + "\n".join(lines) + "\n").encode("gb18030")

        assert ("wrong-fields", at + 2) == fault_of(data, GB)

    def test_a_wrong_byte_far_into_a_file(self) -> None:
        lines = [f"{n},{LONG}".encode() for n in range(120_000)]
        lines[100_000] += b"\xff"

        assert ("wrong-encoding", 100_002) == fault_of(
            b"A,B\n" + b"\n".join(lines) + b"\n", Spec("csv")
        )


class TestJsonLines:
    @pytest.mark.parametrize(
        ("data", "fault"),
        [
            (b"", ("empty", None)),
            (b'{"a": 1}\n{"a": \n', ("not-json", 2)),
            (b'{"a": 1}\n{"a": NaN}\n', ("not-json", 2)),
            (b'{"a": 1}{"a": 2}\n', ("not-json", 1)),
            (b"\n[1]\n", ("not-an-object", 2)),
            (b'{"a": 1, "a": 2}\n', ("key-twice", 1)),
            (b'{"a": "\\u0000"}\n', ("nul-byte", 1)),
            (b'{"a": "\\ud800"}\n', ("bad-text", 1)),
            (b'{"a": "\xff"}\n', ("wrong-encoding", 1)),
            (b'{"": 1}\n', ("nameless-column", None)),
            (b'{"a": ' + b"[" * 100_000 + b"\n", ("not-json", 1)),
            (b'{"a": 1}\n{"a": "' + b"x" * (70 << 20), ("line-too-long", 2)),
        ],
    )
    def test_named(self, data: bytes, fault: tuple[str, int | None]) -> None:
        assert fault == fault_of(data, Spec("jsonl"))

    def test_a_key_that_shows_up_late(self) -> None:
        """It is in no row that was handed out before: the file stops."""
        rows = [json.dumps({"a": "x" * 100}) for _ in range(30_000)]
        rows[25_000] = '{"a": "x", "b": "y"}'

        assert ("new-key", 25_001) == fault_of("\n".join(rows).encode(), Spec("jsonl"))

    def test_a_torn_end(self) -> None:
        data = b'{"a": 1}\n{"a": 2}'

        assert ("torn-end", 2) == fault_of(data, Spec("jsonl", open_end=False))


def book(*cells: str | None, at: int = 7, merged: Sequence[str] = ()) -> bytes:
    """A workbook with a header A and one row."""
    return workbook({"a": sheet({1: [text("A")], at: cells}, merged)})


class TestXlsx:
    @pytest.mark.parametrize(
        ("data", "spec", "fault"),
        [
            (b"PK\3\4nothing", XLSX, ("not-zip", None)),
            (b"A,B\n1,2\n", XLSX, ("not-zip", None)),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", XLSX, ("encrypted-workbook", None)),
            (zipped(b"no workbook"), XLSX, ("not-xlsx", None)),
            (book(text("1")), Spec("xlsx", sheet="二月"), ("no-sheet", None)),
            (workbook(dict.fromkeys("ab", sheet({1: [text("A")]}))), XLSX, ("many-sheets", None)),
            (workbook({"a": sheet({})}), XLSX, ("empty", None)),
            (book(text("1")), Spec("xlsx", columns=("B",)), ("no-header", None)),
            (table(["A", "A"], [["1", "2"]]), XLSX, ("name-twice", None)),
            (book(text("1"), text("shifted")), XLSX, ("nameless-column", None)),
            (book(number("330102199001011234")), XLSX, ("long-number", 7)),
            (book(number("3.30102199001011E+17")), XLSX, ("long-number", 7)),
            (book(text("1"), at=2, merged=["A2:A3"]), XLSX, ("merged-cells", 2)),
            (book(text("1"), merged=["A1:A7"]), XLSX, ("merged-cells", 2)),
        ],
    )
    def test_named(self, data: bytes, spec: Spec, fault: tuple[str, int | None]) -> None:
        assert fault == fault_of(data, spec)

    @pytest.mark.parametrize("cell", [text(DIGITS), formula(DIGITS, "str")])
    def test_digits_as_text_are_whole(self, cell: str) -> None:
        """A long number that is text, typed or made by a formula, has lost nothing."""
        assert [(DIGITS,)] == rows_of(book(cell), XLSX)[1]

    def test_entities_are_not_expanded(self) -> None:
        """A document type is forbidden in a workbook, and a bomb needs one."""
        data = book(text("1"), at=2)
        assert [("1",)] == rows_of(data, XLSX)[1]

        assert "not-xlsx" == fault_of(with_document_type(data), XLSX)[0]


def with_document_type(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"?><workbook", b"?><!DOCTYPE a><workbook"))
    return out.getvalue()


class TestParquet:
    @pytest.mark.parametrize("cut", [0, 4, 100, -1, -9])
    def test_a_torn_file(self, cut: int) -> None:
        whole = parquet({"a": pa.array(["1"] * 1000)})

        assert "not-parquet" == fault_of(whole[:cut], Spec("parquet"))[0]

    @pytest.mark.parametrize(
        ("column", "code"),
        [
            (pa.array([[1], [2]]), "column-type"),
            (pa.array([{"x": 1}]), "column-type"),
            (pa.array([b"\xff"]), "column-type"),
            (pa.array(["a\0b"]), "nul-byte"),
        ],
    )
    def test_what_has_no_text(self, column: pa.Array, code: str) -> None:
        assert code == fault_of(parquet({"a": column}), Spec("parquet"))[0]

    def test_a_damaged_page(self) -> None:
        """Any byte may be wrong: a name for it, or rows, never another error."""
        whole = parquet({"a": pa.array([str(at) for at in range(500)])})
        for at in range(0, len(whole), 37):
            broken = bytearray(whole)
            broken[at] ^= 0x55
            fault_of(bytes(broken), Spec("parquet"))


class TestSentences:
    def test_each_fills_in(self) -> None:
        """Every code has its sentence, and one that is not known says so."""
        for code, said in SENTENCES.items():
            names = [name for _, name, _, _ in string.Formatter().parse(said) if name]

            assert "{" not in sentence(code, dict.fromkeys(names, 7))

        assert SENTENCES["died"] == sentence("never heard", {})
        assert SENTENCES["died"] == sentence("wrong-fields", {})

    def test_it_is_in_the_error(self) -> None:
        assert "wrong-fields" == str(Fault("wrong-fields", line=3))


def test_no_content_is_ever_told() -> None:
    """The parsers' own words repeat the row; ours are codes and numbers."""
    with pytest.raises(Fault) as raised:
        rows_of("A,B\n1,秘密,3\n".encode(), Spec("csv"))

    assert raised.value.__cause__ is None
    assert {"line": 2, "have": 3, "want": 2} == raised.value.numbers
