"""The savings receipt as terminal text, Chinese and English. It shows no personal value."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.intake.words import LABELS, Status

Document = Mapping[str, Any]
RULE = "─" * 72
MARKS: Mapping[Status, str] = {
    Status.SATISFIED: "✓",
    Status.PENDING: "→",
    Status.NEEDS_CONFIRMATION: "✎",
    Status.UNAVAILABLE: "…",
    Status.MISSING: "□",
    Status.TOLERABLE: "◇",
    Status.CONTESTED: "!",
    Status.NOT_APPLICABLE: " ",
}
COUNTS: tuple[tuple[str, str, str], ...] = (
    ("listed", "办事指南所列材料", "documents in the printed guides"),
    ("after_merge", "合并同类材料后", "after merging the same ones"),
    ("supplied_by_hub", "无需提交（政府已有）", "supplied, nothing to bring"),
    ("still_open", "来源待答复", "waiting for a source"),
    ("applicant_must_bring", "仍需申请人办理", "left to the applicant"),
)


def render(document: Document) -> str:
    """Render a resolution's savings receipt from its JSON."""
    return "\n".join(_lines(document))


def _lines(document: Document) -> Iterator[str]:
    savings = document["savings"]
    yield f"减材料清单  Savings receipt   {document['bundle']}"
    yield RULE
    for name, chinese, english in COUNTS:
        yield _columns((chinese, 26), (f"{savings[name]:>4}", 6), (english, 0))
    yield _columns(("申请表", 26), (_arrow(savings, "forms"), 12), ("forms", 0))
    yield _columns(("预填字段", 26), (_prefilled(savings), 12), ("fields prefilled", 0))
    for label, counts in savings["by_label"].items():
        yield f"  {label}: {counts['supplied']} / {counts['listed']}"
    yield RULE
    yield from _materials(document["materials"])
    yield RULE
    yield _decision(document)


def _materials(materials: Sequence[Document]) -> Iterator[str]:
    for status in Status:
        standing = [one for one in materials if one["status"] == status]
        if standing and status is not Status.NOT_APPLICABLE:
            chinese, english = LABELS[status]
            yield f"{MARKS[status]} {chinese}  {english}"
            for one in standing:
                yield _columns(("", 4), (one["name"], 44), (",".join(one["rows"]), 0))


def _arrow(savings: Mapping[str, Any], what: str) -> str:
    return f"{savings[f'{what}_before']:>4} → {savings[f'{what}_after']}"


def _prefilled(savings: Mapping[str, Any]) -> str:
    return f"{savings['fields_prefilled']:>4} / {savings['fields_total']}"


def _decision(document: Document) -> str:
    if document["decision_allowed"]:
        return "可以作出审批决定  A decision may be taken once the case is complete."
    return "主要材料来源未答复，暂不作决定  No decision while a primary material is unavailable."


def _columns(*cells: tuple[str, int]) -> str:
    return "".join(
        text + " " * max(1 if width else 0, width - _width(text)) for text, width in cells
    )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
