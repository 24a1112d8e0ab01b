"""Requests for licenses, every one of another holder: half business licenses, half certificates."""

from __future__ import annotations

from dataclasses import replace

from license_vault.record import Request
from schemas.identifiers import org_code_check, resident_check, uscc_check
from schemas.license import Holder
from tests.license_vault.office import business_license, certificate


def different(count: int) -> list[Request]:
    """So many requests, no two alike in number, holder or face."""
    return [_certificate(n) if n % 2 else _business(n) for n in range(count)]


def _business(n: int) -> Request:
    code = _uscc(n)
    made = business_license(f"bench/{n}", f"永康市第{n}餐饮有限公司")
    holder = Holder("001", code, made.face["name"])
    face = {**made.face, "address": f"浙江省永康市东城街道金城路{n}号"}
    return replace(made, number=code, subject_id=code, holders=(holder,), face=face)


def _certificate(n: int) -> Request:
    unit = f"330784001001GB00001F{n:08d}"
    holder = Holder("111", _resident(n), f"应{n}")
    made = certificate(
        f"bench/{n}",
        f"浙(2024)永康市不动产权第{n:07d}号",
        (holder,),
        unit_no=unit,
        location=f"永康市东城街道金城路{n}号",
    )
    return replace(made, subject_id=unit)


def _uscc(n: int) -> str:
    body = f"91330784{n:08d}"
    body += org_code_check(body[8:])
    return body + uscc_check(body)


def _resident(n: int) -> str:
    body = f"33078419{50 + n % 50}0101{n // 50 % 1000:03d}"
    return body + resident_check(body)
