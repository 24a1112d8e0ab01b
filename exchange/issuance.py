"""Who is due a license by what the libraries say, and issuing it.

The first so many, by natural key, of those that may have one: half business licenses, half
real-estate certificates. A dead holder or representative, an entity that is not in business and a
seized unit get none. A certificate whose unit has other owners or another number by now is
superseded by a new one. Nothing is revoked here: an entity that closed keeps what it was given
until an officer decides.

Selected set-wise by SQL; running it again issues nothing again, whatever was killed before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from exchange.database import Role, without_detail
from exchange.settings import Settings
from license_vault import types
from license_vault.issue import NotIssued, Outcome, Place, issue_all, resume
from license_vault.record import Request
from license_vault.signer.client import SignerClient
from schemas.codes import code_list
from schemas.license import Holder

QR_KEY = "qr.key"
CALLER = "vault"


@dataclass(frozen=True)
class Summary:
    """What one run did. `not_issued` counts reasons; `waiting` names what is not loaded yet."""

    business_licenses: int = 0
    certificates: int = 0
    superseded: int = 0
    resumed: int = 0
    not_issued: Mapping[str, int] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()

    @property
    def issued(self) -> int:
        """Licenses that are new by this run."""
        return self.business_licenses + self.certificates + self.resumed


def issue_due(settings: Settings, limit: int) -> Summary:
    """Take up what an earlier run left, then issue what is due. Raises `Unavailable`."""
    signer = SignerClient(settings.signer_socket, CALLER, settings.secret(f"signer-{CALLER}"))
    place = Place(settings.public_url, settings.secret(QR_KEY))

    def connect() -> psycopg.Connection[Any]:
        return settings.database.connect(Role.VAULT)

    try:
        with without_detail():
            left = resume(connect, signer, place)
            with connect() as conn:
                waiting = _not_loaded(conn)
                due = [] if waiting else due_requests(conn, limit)
            outcome = issue_all(connect, signer, due, place)
    finally:
        signer.close()
    return _summary(left, outcome, due, waiting)


def due_requests(conn: psycopg.Connection[Any], limit: int) -> list[Request]:
    """The requests that are due now: business licenses first, certificates after them."""
    codes = {
        "business": types.BUSINESS_LICENSE,
        "certificate": types.REAL_ESTATE_CERTIFICATE,
        "businesses": -(-limit // 2),
        "units": limit // 2,
    }
    with conn.cursor(row_factory=dict_row) as cursor:
        businesses = [_business_license(row) for row in cursor.execute(_BUSINESSES, codes)]
        units = [_certificate(row) for row in cursor.execute(_UNITS, codes)]
    return businesses + units


def _not_loaded(conn: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Libraries that are still empty: whether somebody lives is not known before they are not."""
    row = conn.execute("SELECT EXISTS (SELECT FROM library.population_resident)").fetchone()
    assert row is not None
    return () if row[0] else ("population.resident",)


def _business_license(row: Mapping[str, Any]) -> Request:
    start = row["term_from"] or row["established_on"]
    face = {
        "name": row["name"],
        "entity_type": code_list("entity_type").label(row["entity_type"]),
        "legal_representative": row["legal_representative"],
        "registered_capital": _capital(row["registered_capital"], row["capital_currency"]),
        "established_on": _iso(row["established_on"]),
        "term": f"{_iso(start)}/{_iso(row['term_to'])}",
        "address": row["address"],
        "business_scope": row["business_scope"],
    }
    return Request(
        key=row["key"],
        type_code=types.BUSINESS_LICENSE,
        number=row["uscc"],
        issuer=row["registration_authority"],
        issuer_name=row["registration_authority_name"],
        subject_id=row["uscc"],
        holders=(Holder("001", row["uscc"], row["name"]),),
        face=_filled(face),
        valid_from=row["established_on"],
    )


def _certificate(row: Mapping[str, Any]) -> Request:
    holders = tuple(Holder(*each) for each in row["holders"])
    use = code_list("building_use")
    face = {
        "holders": "、".join(each.name for each in holders),
        "co_ownership": _co_ownership(row["co_ownership"], row["shares"]),
        "location": row["location"],
        "unit_no": row["unit_no"],
        "right_type": right_type(row["unit_no"]),
        "use": use.label(row["use"]) if row["use"] in use else row["use"],
        "area_m2": str(row["area_m2"]) if row["area_m2"] is not None else "",
        "registered_on": _iso(row["registered_on"]),
        "remarks": _remarks(row),
    }
    return Request(
        key=row["key"],
        type_code=types.REAL_ESTATE_CERTIFICATE,
        number=row["certificate_no"],
        issuer=row["authority"],
        issuer_name=row["authority_name"],
        subject_id=row["unit_no"],
        holders=holders,
        face=_filled(face),
        valid_from=row["registered_on"],
        supersedes=row["supersedes"],
    )


def right_type(unit_no: str) -> str:
    """权利类型 by the features in the unit number (GB/T 37346-2019): land, and what stands on it.

    The wording for what is not state-owned construction land with a house is to be checked.
    """
    land = _LAND.get(unit_no[12:14], "土地使用权")
    fixture = _FIXTURES.get(unit_no[19:20])
    return f"{land}／{fixture}" if fixture else land


_LAND = {
    "GB": "国有建设用地使用权",
    "JB": "集体建设用地使用权",
    "JC": "宅基地使用权",
    "GH": "海域使用权",
}
_FIXTURES = {"F": "房屋（构筑物）所有权", "L": "林木所有权"}


def _co_ownership(code: str | None, shares: Sequence[Sequence[str | None]]) -> str:
    told = code_list("co_ownership").label(code or "0")
    parts = [f"{name} {share}" for name, share in shares if share]
    return f"{told}（{'，'.join(parts)}）" if code == "2" and parts else told


def _remarks(row: Mapping[str, Any]) -> str:
    if not row["mortgaged"]:
        return ""
    secured = row["mortgage_yuan"]
    amount = f"；被担保债权数额：{secured:,.2f} 元" if secured is not None else ""
    return f"该不动产已设立抵押。抵押权人：{row['mortgagee']}{amount}。"


def _capital(amount: Decimal | None, currency: str | None) -> str:
    if amount is None:
        return ""
    return f"{amount:.2f}" if currency in (None, "CNY") else f"{currency} {amount:.2f}"


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def _filled(face: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in face.items() if value}


def _summary(
    left: Outcome, outcome: Outcome, due: Sequence[Request], waiting: tuple[str, ...]
) -> Summary:
    kinds = [each.type_code for each in outcome.licenses]
    everything = left.licenses + outcome.licenses
    return Summary(
        business_licenses=kinds.count(types.BUSINESS_LICENSE),
        certificates=kinds.count(types.REAL_ESTATE_CERTIFICATE),
        superseded=sum(1 for each in everything if each.supersedes),
        resumed=len(left.licenses),
        not_issued=_counted(left.not_issued + outcome.not_issued),
        waiting=waiting,
    )


def _counted(refused: Sequence[NotIssued]) -> dict[str, int]:
    codes = [each.code for each in refused]
    return {code: codes.count(code) for code in sorted(set(codes))}


# The key of a business license is its entity: a name that changed is not a license that is due.
_BUSINESSES = """
WITH due AS (
    SELECT r.* FROM library.legal_entity_registration r
    WHERE r.status = '1' AND NOT EXISTS (
        SELECT FROM library.population_resident p
        WHERE p.resident_id = r.representative_id AND p.deceased)
    ORDER BY r.uscc LIMIT %(businesses)s
)
SELECT 'business-license/' || due.uscc AS key, due.* FROM due
WHERE NOT EXISTS (
    SELECT FROM vault.sealing s
    WHERE s.idempotency_key = 'business-license/' || due.uscc AND s.state <> 'voided')
ORDER BY due.uscc
"""

# The key of a certificate: unit, a digest of who owns it under which number, what it replaces.
_UNITS = """
WITH owned AS (
    SELECT o.unit_no,
        string_agg(DISTINCT o.certificate_no, '、' ORDER BY o.certificate_no) AS certificate_no,
        json_agg(json_build_array(o.holder_id_type, o.holder_id, o.holder_name)
            ORDER BY o.holder_id) AS holders,
        json_agg(json_build_array(o.holder_name, o.share) ORDER BY o.holder_id) AS shares,
        encode(sha256(convert_to(
            string_agg(o.holder_id || ' ' || coalesce(o.certificate_no, ''), E'\\n'
                ORDER BY o.holder_id), 'UTF8')), 'hex') AS fingerprint,
        min(o.co_ownership) AS co_ownership, min(o.location) AS location,
        min(o.area_m2) AS area_m2, min(o.use) AS use, max(o.registered_on) AS registered_on,
        min(o.authority) AS authority, min(o.authority_name) AS authority_name,
        bool_or(o.mortgaged) AS mortgaged, min(o.mortgagee) AS mortgagee,
        min(o.mortgage_yuan) AS mortgage_yuan
    FROM library.real_estate_registration_ownership o
    LEFT JOIN library.population_resident p
        ON o.holder_id_type = '111' AND p.resident_id = o.holder_id AND p.deceased
    GROUP BY o.unit_no
    -- A unit that the unit register does not know (yet) has no location, and so no face.
    HAVING NOT bool_or(o.seized) AND count(p.resident_id) = 0 AND count(o.location) > 0
), ranked AS (
    SELECT *, row_number() OVER (ORDER BY unit_no) AS place FROM owned
), known AS (
    SELECT ranked.*, held.id AS supersedes, held.fingerprint AS held_fingerprint
    FROM ranked LEFT JOIN LATERAL (
        SELECT l.id, split_part(s.idempotency_key, '/', 3) AS fingerprint
        FROM vault.license l JOIN vault.sealing s ON s.license_id = l.id
        WHERE l.subject_id = ranked.unit_no AND l.type_code = %(certificate)s
          AND l.status IN ('valid', 'suspended')
        ORDER BY l.log_index DESC LIMIT 1) held ON true
    WHERE ranked.place <= %(units)s OR held.id IS NOT NULL
)
SELECT known.*,
    concat_ws('/', 'real-estate-certificate', unit_no, fingerprint, coalesce(supersedes, ''))
        AS key
FROM known
WHERE (supersedes IS NOT NULL AND held_fingerprint <> fingerprint)
   OR (supersedes IS NULL AND NOT EXISTS (
        SELECT FROM vault.license l JOIN vault.sealing s ON s.license_id = l.id
        WHERE l.subject_id = known.unit_no AND l.type_code = %(certificate)s
          AND split_part(s.idempotency_key, '/', 3) = known.fingerprint))
ORDER BY unit_no
"""
