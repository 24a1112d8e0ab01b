"""A workbook of one sheet of texts (ECMA-376), as clerks send registers around."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

_SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_MOMENT = (1980, 1, 1, 0, 0, 0)

_PARTS: Mapping[str, str] = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/>'
    "</Types>",
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship '
    f'Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_SHEETS}" xmlns:r="{_RELATIONS}"><sheets>'
    '<sheet name="数据" sheetId="1" r:id="rId1"/></sheets></workbook>',
}


def workbook(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> bytes:
    """The file: one row of names, then the rows; the same rows make the same bytes."""
    lines = "".join(_line(at, cells) for at, cells in enumerate([names, *rows], start=1))
    sheet = f'<worksheet xmlns="{_SHEETS}"><sheetData>{lines}</sheetData></worksheet>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in {**_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
            package.writestr(zipfile.ZipInfo(name, _MOMENT), head + content)
    return out.getvalue()


def _line(at: int, cells: Sequence[str | None]) -> str:
    said = (
        f'<c r="{_letters(place)}{at}" t="inlineStr"><is>'
        f'<t xml:space="preserve">{escape(cell)}</t></is></c>'
        for place, cell in enumerate(cells)
        if cell is not None
    )
    return f'<row r="{at}">{"".join(said)}</row>'


def _letters(place: int) -> str:
    """A to Z, then AA and so on."""
    high, low = divmod(place, 26)
    return (_letters(high - 1) if high else "") + chr(65 + low)
