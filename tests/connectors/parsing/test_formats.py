"""What a department wrote is what is read: every form, packed or not, cell by cell."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.parsing.spec import Packing, Spec
from tests.connectors.parsing.reading import Row, rows_of
from tests.connectors.parsing.workbooks import (
    DATE,
    TIME,
    error,
    formula,
    number,
    sheet,
    table,
    text,
    workbook,
)

# XML has no control characters, a CSV none that ends lines by surprise in other readers.
SAYABLE = st.characters(
    codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"
)
LETTERS = SAYABLE | st.sampled_from(list(",\"'\t\n;|𠮷·中\\{}"))
WORD = st.text(LETTERS, max_size=12)
CELL = st.none() | WORD
NAMES = ("GMSFHM", "姓名", "备 注")
TABLE = st.lists(st.tuples(CELL, CELL, CELL), max_size=8)


def plain_csv(rows: Sequence[Row], encoding: str) -> bytes:
    """Quotes round every text: an absent cell alone has none."""
    lines = [NAMES, *rows]
    quoted = (
        ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in line)
        for line in lines
    )
    return "".join(f"{line}\r\n" for line in quoted).encode(encoding)


class TestCsv:
    @given(rows=TABLE, encoding=st.sampled_from(["gb18030", "utf-8"]), marked=st.booleans())
    @settings(max_examples=80, deadline=None)
    def test_every_cell_comes_back(self, rows: list[Row], encoding: str, marked: bool) -> None:
        """Commas, quotes and line breaks within quotes; absent is not empty; a mark is no name."""
        mark = "\ufeff".encode(encoding) if marked else b""

        names, found = rows_of(mark + plain_csv(rows, encoding), Spec("csv", encoding=encoding))

        assert (NAMES, rows) == (names, found)

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("delimiter", ["\t", "|", ";", "\x01"])
    def test_line_ends_and_delimiters(self, end: str, delimiter: str) -> None:
        data = end.join([f"A{delimiter}B", f"1{delimiter}", f"2{delimiter}二", ""]).encode()

        assert (("A", "B"), [("1", None), ("2", "二")]) == rows_of(
            data, Spec("csv", delimiter=delimiter)
        )

    def test_lines_before_the_header_blank_lines_and_a_delimiter_too_many(self) -> None:
        data = "某某局\n\nA,B,\n1,2,\n\n3,,\n".encode()

        assert (("A", "B"), [("1", "2"), ("3", None)]) == rows_of(data, Spec("csv", skip=2))

    def test_without_quoting_a_quote_is_a_letter(self) -> None:
        assert [('"1', '5"')] == rows_of(b'A,B\n"1,5"\n', Spec("csv", quote=None))[1]

    def test_a_header_and_no_more(self) -> None:
        """With or without a line end: a file of nothing."""
        assert (("A", "B"), []) == rows_of(b"A,B", Spec("csv"))
        assert (("A", "B"), []) == rows_of(b"A,B\r\n", Spec("csv"))

    def test_many_blocks(self) -> None:
        """Cells with line breaks in a file of several blocks, one of them across a boundary."""
        rows = [(str(at), "长文\n本" * 5, None) for at in range(120_000)]

        assert rows == rows_of(plain_csv(rows, "gb18030"), Spec("csv", encoding="gb18030"))[1]


class TestJsonLines:
    @given(rows=TABLE, encoding=st.sampled_from(["gb18030", "utf-8"]))
    @settings(max_examples=60, deadline=None)
    def test_every_cell_comes_back(self, rows: list[Row], encoding: str) -> None:
        said = (json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) for row in rows)
        data = "".join(f"{line}\n" for line in said).encode(encoding)
        spec = Spec("jsonl", encoding=encoding, columns=NAMES)

        assert rows == (rows_of(data, spec)[1] if rows else [])

    @given(
        values=st.lists(
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.decimals(allow_nan=False, allow_infinity=False)
                | WORD,
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3)
                ),
                max_leaves=6,
            ),
            min_size=1,
            max_size=5,
        )
    )
    @settings(max_examples=60, deadline=None)
    def test_a_number_keeps_its_digits(self, values: list[Any]) -> None:
        """1.10 is not 1.1, and twenty digits are twenty digits; what is nested is its JSON."""
        data = "".join(f'{{"a": {as_json(value)}}}\n' for value in values).encode()

        assert [(as_cell(value),) for value in values] == rows_of(data, Spec("jsonl"))[1]

    def test_many_blocks(self) -> None:
        """Past the first megabyte, numbers and texts by the quick way and by the slow one."""
        rows = [
            (f"居民{at}", str(at), "1.50" if at % 50_000 == 7 else "-0") for at in range(90_000)
        ]
        lines = (f'{{"a": "{a}", "b": {b}, "c": {c}}}\n' for a, b, c in rows)

        assert rows == rows_of("".join(lines).encode(), Spec("jsonl"))[1]

    def test_keys_in_any_order_or_absent(self) -> None:
        data = b'{"b": "2", "a": "1"}\n\n{"a": "3"}\n'
        spec = Spec("jsonl", columns=("a", "c"))

        assert (("a", "c", "b"), [("1", None, "2"), ("3", None, None)]) == rows_of(data, spec)


def as_json(value: Any) -> str:
    """JSON without spaces, decimals as they are."""
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(key)}:{as_json(of)}" for key, of in value.items()) + "}"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def as_cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else as_json(value)


class TestParquet:
    @given(rows=TABLE)
    @settings(max_examples=50, deadline=None)
    def test_every_cell_comes_back(self, rows: list[Row]) -> None:
        columns = [pa.array([row[at] for row in rows], pa.string()) for at in range(3)]

        assert (NAMES, rows) == rows_of(
            parquet(dict(zip(NAMES, columns, strict=True))), Spec("parquet")
        )

    @pytest.mark.parametrize(
        ("column", "said"),
        [
            (pa.array([330102199001010018, None]), ("330102199001010018", None)),
            (pa.array([Decimal("1.10"), Decimal("-2.00")]), ("1.10", "-2.00")),
            (pa.array([date(2026, 1, 5), None]), ("2026-01-05", None)),
            (
                pa.array([datetime(2026, 1, 5, 8), datetime(2026, 1, 5, 8, 0, 0, 5)]),
                ("2026-01-05 08:00:00", "2026-01-05 08:00:00.000005"),
            ),
            (
                pa.array([datetime(2026, 1, 5, 8), None], pa.timestamp("us", "UTC")),
                ("2026-01-05 08:00:00Z", None),
            ),
            (pa.array([True, False]), ("true", "false")),
            (pa.array([1.5, 1e300]), ("1.5", "1e+300")),
            (pa.array(["男", "女"]).dictionary_encode(), ("男", "女")),
            (pa.array(["男", "女"], pa.large_string()), ("男", "女")),
            (pa.nulls(2), (None, None)),
        ],
    )
    def test_every_type_has_a_text(self, column: pa.Array, said: Row) -> None:
        assert said == tuple(row[0] for row in rows_of(parquet({"a": column}), Spec("parquet"))[1])


def parquet(columns: dict[str, pa.Array]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


class TestXlsx:
    @given(rows=st.lists(st.tuples(CELL, CELL, WORD.filter(bool)), max_size=6))
    @settings(max_examples=40, deadline=None)
    def test_every_text_comes_back(self, rows: list[Row]) -> None:
        """A cell that is empty is absent: a workbook knows no difference."""
        shown = [tuple(cell or None for cell in row) for row in rows]

        names, found = rows_of(table(NAMES, rows), Spec("xlsx"))

        assert (("GMSFHM", "姓名", "备注"), shown) == (names, found)

    def test_numbers_dates_formulas_and_errors(self) -> None:
        """A formula is its saved value; an error its name; a day has no midnight."""
        one = [number("1"), number("46027", DATE), number("46027.5", TIME), formula("2")]
        one += [error("#N/A"), number("0.1"), 't="b"><v>1</v>']
        two = [number("12345678901.0"), number("46028", DATE), number("46027", TIME), formula(None)]
        two += [error("#REF!"), number("1E-7"), formula("文", "str")]
        cells = {1: [text(name) for name in "ABCDEFG"], 2: one, 3: two}

        assert [
            ("1", "2026-01-05", "2026-01-05 12:00:00", "2", "#N/A", "0.1", "true"),
            ("12345678901", "2026-01-06", "2026-01-05 00:00:00", None, "#REF!", "0.0000001", "文"),
        ] == rows_of(workbook({"数据": sheet(cells)}), Spec("xlsx"))[1]

    def test_titles_merged_headers_and_empty_rows(self) -> None:
        """The lowest name of a column counts; rows without a cell do not."""
        cells: dict[int, list[str | None]] = {
            2: [text("法人信息表")],
            4: [text("代码"), text("住所"), None],
            5: [None, text("区划"), text("地 址")],
            6: [text("91"), text("330102"), text("东街")],
            9: [text("92"), None, text("西街")],
        }
        data = workbook({"说明": sheet({}), "表": sheet(cells, ["A2:C2", "A4:A5", "B4:C4"])})

        assert (
            ("代码", "区划", "地址"),
            [("91", "330102", "东街"), ("92", None, "西街")],
        ) == rows_of(data, Spec("xlsx", header=(4, 5)))

    def test_a_sheet_by_its_name(self) -> None:
        one, two = (sheet({1: [text("A")], 2: [text(said)]}) for said in "一二")
        data = workbook({"一月": one, "二月 & 三月": two})

        assert [("二",)] == rows_of(data, Spec("xlsx", sheet="二月 & 三月"))[1]


class TestPacked:
    @pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
    @pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx", "parquet"])
    def test_packed_is_the_same(self, form: str, packing: Packing) -> None:
        data, spec = {
            "csv": (b"A\n1\n", Spec("csv", packing)),
            "jsonl": (b'{"A":"1"}\n', Spec("jsonl", packing)),
            "xlsx": (table(["A"], [["1"]]), Spec("xlsx", packing)),
            "parquet": (parquet({"A": pa.array(["1"])}), Spec("parquet", packing)),
        }[form]

        assert (("A",), [("1",)]) == rows_of(PACK[packing](data), spec)


def zipped(data: bytes, name: str = "data") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "zip": zipped,
}
