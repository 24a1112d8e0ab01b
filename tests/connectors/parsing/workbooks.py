"""XLSX workbooks cell by cell, to the letter of ECMA-376: what no writer would write as well."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
DATE, TIME = 1, 2
"""Styles: a day, and a day with its time."""


def text(said: str) -> str:
    """A cell of text."""
    return f't="inlineStr"><is><t xml:space="preserve">{escape(said)}</t></is>'


def number(said: str, style: int = 0) -> str:
    """A cell with a number as it is stored; dates are numbers with a style."""
    return f's="{style}"><v>{said}</v>'


def formula(value: str | None, kind: str = "n") -> str:
    """A formula, with the value that was saved with it or none."""
    return f't="{kind}"><f>A1+1</f>' + ("" if value is None else f"<v>{value}</v>")


def error(said: str) -> str:
    """A cell whose formula failed."""
    return f't="e"><v>{said}</v>'


def sheet(rows: Mapping[int, Sequence[str | None]], merged: Sequence[str] = ()) -> str:
    """A sheet's XML: cells by row number, from column A; None is no cell."""
    data = "".join(f'<row r="{at}">{_cells(at, cells)}</row>' for at, cells in rows.items())
    merges = "".join(f'<mergeCell ref="{area}"/>' for area in merged)
    return (
        f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>{data}</sheetData>'
        + (f"<mergeCells>{merges}</mergeCells>" if merges else "")
        + "</worksheet>"
    )


def workbook(sheets: Mapping[str, str]) -> bytes:
    """An XLSX file of these sheets."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in _parts(sheets).items():
            package.writestr(name, content)
    return out.getvalue()


def table(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bytes:
    """A workbook of one sheet of texts."""
    lines = [names, *rows]
    cells = {
        at: [None if said is None else text(said) for said in line]
        for at, line in enumerate(lines, 1)
    }
    return workbook({"数据": sheet(cells)})


def _cells(row: int, cells: Sequence[str | None]) -> str:
    return "".join(
        f'<c r="{chr(65 + at)}{row}" {cell}</c>'
        for at, cell in enumerate(cells)
        if cell is not None
    )


def _parts(sheets: Mapping[str, str]) -> dict[str, str]:
    numbered = list(enumerate(sheets, 1))
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>' for at, name in numbered
    )
    linked = "".join(_link(at, "worksheet", f"worksheets/sheet{at}.xml") for at, _ in numbered)
    types = f'<Types xmlns="{_PACKAGE}/content-types">' + "".join(
        f'<Default Extension="{ending}" ContentType="application/{kind}"/>'
        for ending, kind in (
            ("rels", "vnd.openxmlformats-package.relationships+xml"),
            ("xml", "vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"),
        )
    )
    return {
        "[Content_Types].xml": f"{_XML}{types}</Types>",
        "_rels/.rels": _links(_link(1, "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": (
            f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}">'
            f"<sheets>{listed}</sheets></workbook>"
        ),
        "xl/_rels/workbook.xml.rels": _links(linked + _link(99, "styles", "styles.xml")),
        "xl/styles.xml": (
            f'{_XML}<styleSheet xmlns="{_MAIN}"><cellXfs count="3"><xf numFmtId="0"/>'
            '<xf numFmtId="14"/><xf numFmtId="22"/></cellXfs></styleSheet>'
        ),
        **{f"xl/worksheets/sheet{at}.xml": sheets[name] for at, name in numbered},
    }


def _links(inner: str) -> str:
    return f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'


def _link(at: int, kind: str, target: str) -> str:
    return f'<Relationship Id="rId{at}" Type="{_LINKS}/{kind}" Target="{target}"/>'
