"""Grants, consents and mandates as PostgreSQL tells them, back into nouns. Nothing is judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.consent import Consent, Every, GivenAs, Mandate
from schemas.grant import Form, Grant, Mode, Needs


def grant(row: Mapping[str, Any]) -> Grant:
    """The grant in a row of `hub.grant`."""
    return Grant(
        id=row["id"],
        client=row["client"],
        resource=row["resource"],
        purposes=frozenset(row["purposes"]),
        bases=frozenset(row["bases"]),
        items=frozenset(row["items"]),
        fields={name: Form(form) for name, form in row["fields"].items()},
        modes=frozenset(map(Mode, row["modes"])),
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        per_minute=row["per_minute"],
        per_day=row["per_day"],
        file_number=row["file_number"],
        row_filter={column: tuple(values) for column, values in row["row_filter"].items()},
        max_uses=row["max_uses"],
        revoked_at=row["revoked_at"],
        needs=Needs(row["needs"]),
        suspended_at=row["suspended_at"],
        sunset_at=row["sunset_at"],
        version=row["version"],
        application=row["application"],
    )


def consent(row: Mapping[str, Any]) -> Consent:
    """The consent in a row that PostgreSQL wrote as JSON: bytes in hex, moments as texts."""
    return Consent(
        id=row["id"],
        subject_type=row["subject_type"],
        subject=_bytes(row["subject"]),
        given_as=GivenAs(row["given_as"]),
        client=row["client"],
        resource=row["resource"],
        fields=frozenset(row["fields"]),
        purposes=frozenset(row["purposes"]),
        items=frozenset(row["items"]),
        valid_from=datetime.fromisoformat(row["valid_from"]),
        valid_to=datetime.fromisoformat(row["valid_to"]),
        max_uses=row["max_uses"],
        every=Every(row["every"]) if row["every"] else None,
        per_every=row["per_every"],
        mandate=mandate(row["under"]) if row["under"] else None,
        withdrawn_at=_moment(row["withdrawn_at"]),
    )


def mandate(row: Mapping[str, Any]) -> Mandate:
    """The mandate in a row that PostgreSQL wrote as JSON."""
    return Mandate(
        id=row["id"],
        kind=GivenAs(row["kind"]),
        principal_type=row["principal_type"],
        principal=_bytes(row["principal"]),
        agent=_bytes(row["agent"]),
        items=frozenset(row["items"]),
        resources=frozenset(row["resources"]),
        valid_from=datetime.fromisoformat(row["valid_from"]),
        valid_to=datetime.fromisoformat(row["valid_to"]),
        evidence=row["evidence"],
        ended_at=_moment(row["ended_at"]),
    )


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
