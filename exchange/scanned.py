"""What the QR on a face leads to: does the license stand, and what should the paper show.

A copy proves nothing, and the page says so. The face is shown, masked, only to whoever holds the
code that was printed on it: identifiers can be guessed, the short signature cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import asyncpg

from exchange.issuance import QR_KEY
from exchange.settings import Settings
from license_vault import face, types
from schemas import identifiers
from schemas.errors import Invalid
from schemas.license import CIVIL_TIME, STATUS_BITS, FaceField, Status

# Fields in which an officer may have written anybody's name: told to be there, never quoted.
FREE_TEXT = frozenset({"remarks"})


@dataclass(frozen=True)
class Answer:
    """The headline of the page, in both languages."""

    look: str
    mark: str
    zh: str
    en: str
    detail_zh: str
    detail_en: str


STANDING: Mapping[Status, Answer] = {
    Status.VALID: Answer(
        "good", "✓", "属实，现行有效", "Genuine and in force",
        "该证照由本平台签发，此刻有效。", "Issued here, and in force at this moment.",
    ),
    Status.SUSPENDED: Answer(
        "bad", "✗", "属实，已暂扣", "Genuine, suspended",
        "该证照由本平台签发，目前处于暂扣状态。", "Issued here, and suspended at this moment.",
    ),
    Status.REVOKED: Answer(
        "bad", "✗", "已吊销", "Revoked",
        "该证照由本平台签发，已被吊销，不再有效。", "Issued here, and revoked since.",
    ),
    Status.ANNULLED: Answer(
        "bad", "✗", "已注销", "Annulled",
        "该证照由本平台签发，已注销，不再有效。", "Issued here, and annulled since.",
    ),
    Status.SUPERSEDED: Answer(
        "bad", "✗", "已换发", "Superseded",
        "该证照由本平台签发，已被新证照取代，不再有效。",
        "Issued here, and superseded by a newer license.",
    ),
    Status.EXPIRED: Answer(
        "bad", "✗", "已过有效期", "Expired",
        "该证照由本平台签发，有效期已过。", "Issued here; its validity has ended.",
    ),
}  # fmt: skip

UNKNOWN = Answer(
    "bad", "✗", "查无此证", "No such license",
    "本平台没有签发过这个标识的证照。", "No license with this identifier was issued here.",
)  # fmt: skip
FOREIGN_CODE = Answer(
    "bad", "✗", "二维码不符", "Not the code of this license",
    "这个二维码不是该证照照面上印制的二维码，照面可能是伪造的。",
    "This is not the code that was printed on the license: the face may be forged.",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What may be shown of the license to a holder of its QR."""

    id: str
    digits: str
    lines: tuple[tuple[str, str], ...]
    superseded_by: str | None


@dataclass(frozen=True)
class Scanned:
    """The page's content; `license` only when the code is the printed one."""

    verdict: Answer
    license: Shown | None
    at: datetime

    def to_page(self) -> dict[str, Any]:
        return {
            "verdict": asdict(self.verdict),
            "license": self.license,
            "at": civil(self.at),
        }


async def scanned(
    pool: asyncpg.Pool, settings: Settings, license_id: str, digits: str, short: str, at: datetime
) -> Scanned:
    """Answer a scan: the license's status now, and its masked face."""
    try:
        license_id = identifiers.license_id(license_id).value
    except Invalid:
        return Scanned(UNKNOWN, None, at)
    row = await pool.fetchrow(
        "SELECT l.id, l.type_code, l.type_name, l.number, l.issuer_name, l.status, l.issued_at,"
        " l.valid_from, l.valid_to, l.face, l.digest, l.changed_at, l.superseded_by,"
        " (SELECT array_agg(h.id_type || ' ' || h.name ORDER BY h.ordinal)"
        "  FROM vault.license_holder h WHERE h.license_id = l.id) AS holders"
        " FROM vault.license l WHERE l.id = $1",
        license_id,
    )
    if row is None:
        return Scanned(UNKNOWN, None, at)
    printed = bytes(row["digest"]).hex()[: face.DIGEST_DIGITS]
    key = settings.secret(QR_KEY)
    genuine = face.check_short_signature(key, license_id, digits, short)
    if not genuine or digits != printed:
        return Scanned(FOREIGN_CODE, None, at)
    return Scanned(STANDING[_status(row, at)], _shown(row, printed), at)


def _status(row: asyncpg.Record, at: datetime) -> Status:
    held = Status(row["status"])
    past = row["valid_to"] is not None and at.astimezone(CIVIL_TIME).date() > row["valid_to"]
    return Status.EXPIRED if past and STATUS_BITS[held] == 0 else held


def _shown(row: asyncpg.Record, printed: str) -> Shown:
    held = types.license_type(row["type_code"])
    lines = [
        ("证照类型 Type", row["type_name"]),
        (f"{held.number_label_zh} {held.number_label_en}", row["number"]),
        ("颁发机构 Issuer", row["issuer_name"]),
        ("颁发日期 Issued", row["issued_at"].astimezone(CIVIL_TIME).date().isoformat()),
        ("有效期起 From", row["valid_from"].isoformat()),
        ("有效期止 Until", row["valid_to"].isoformat() if row["valid_to"] else "长期 no end"),
    ]
    for each in held.fields:
        if each.name in row["face"]:
            lines.append((f"{each.label_zh} {each.label_en}", _shown_field(each, row["face"])))
    return Shown(row["id"], printed, tuple(lines), row["superseded_by"])


def _shown_field(held: FaceField, face_of_it: Mapping[str, str]) -> str:
    if held.name in FREE_TEXT:
        return "（照面有此项 present on the face）"
    return veiled(face_of_it[held.name]) if held.personal else face.printed(held, face_of_it)


def veiled(text: str) -> str:
    """A personal value with its middle hidden: enough to compare by eye, too little to be used.

    Of several names each is veiled by itself.
    """
    return "、".join(_veiled(part) for part in text.split("、"))


def _veiled(text: str) -> str:
    if len(text) < 2:
        return "*"
    head, tail = min(max(1, len(text) // 3), 6), min(len(text) // 6, 3)
    return text[:head] + "*" * (len(text) - head - tail) + text[len(text) - tail :]


def civil(at: datetime) -> str:
    """A moment as people here read it."""
    return at.astimezone(CIVIL_TIME).strftime("%Y-%m-%d %H:%M:%S (UTC+8)")
