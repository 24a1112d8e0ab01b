"""The life of a grant: renewed, narrowed, suspended, resumed, revoked.

Every call reads its grant anew (`exchange/grants.py`), so each deed is felt at the next call of
every process, whatever token or session it has. The source department decides, its superior may,
and who holds a grant may give it up in part or whole.
"""

from __future__ import annotations

from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from exchange.agreements import answerable, stored, terms
from exchange.agreements.clocks import local
from exchange.agreements.evidence import By, Deed, record
from exchange.agreements.terms import LONGEST
from exchange.catalogue import systems
from schemas.application import Terms
from schemas.errors import Invalid, NotFound, Refused, WrongState
from schemas.grant import GRANT_MOVES, Grant, GrantState


def renew(
    conn: psycopg.Connection,
    grant_id: str,
    until: datetime,
    at: datetime,
    *,
    by: By,
    file_number: str,
) -> Grant:
    """Let a grant that has not ended yet hold for longer, under a new approval.

    Raises `WrongState` when it is over: then there is a new application.
    """
    held = _decided_by(conn, grant_id, at, by)
    if held.state is not GrantState.IN_FORCE or at >= held.valid_to:
        raise WrongState(
            "only a grant in force is renewed: apply anew", zh="授权已终止，须重新申请"
        )
    if not file_number.strip():
        raise Invalid("a renewal names the file that approved it", zh="续期须有批准文号")
    if not held.valid_to < until <= at + LONGEST:
        raise Invalid("a renewal ends later than before, within three years", zh="续期期限不合要求")
    conn.execute(
        'UPDATE hub."grant" SET valid_to = %s, file_number = %s, revision = revision + 1'
        " WHERE id = %s",
        (until, file_number, grant_id),
    )
    detail = {"from": held.valid_to.isoformat(), "until": until.isoformat()}
    record(conn, Deed("grant", grant_id, "renew", by, file_number, detail=detail))
    return stored.grant(conn, grant_id)


def narrow(
    conn: psycopg.Connection, grant_id: str, to: Terms, at: datetime, *, by: By, reason: str
) -> Grant:
    """Let a grant allow less. Raises `Refused` when anything would be more."""
    held = _decided_by(conn, grant_id, at, by, also_holder=True)
    _check_reason(reason)
    if held.state is GrantState.REVOKED:
        raise WrongState("a revoked grant allows nothing already", zh="授权已撤销")
    if not terms.narrower(to, Terms.of(held)):
        raise Refused("narrowing gives nothing more: apply for what is more", rule="not-narrower")
    conn.execute(
        'UPDATE hub."grant" SET purposes = %s, bases = %s, items = %s, modes = %s, fields = %s,'
        " row_filter = %s, per_minute = %s, per_day = %s, max_uses = %s, valid_to = %s,"
        " revision = revision + 1 WHERE id = %s",
        (
            sorted(to.purposes),
            sorted(to.bases),
            sorted(to.items),
            sorted(to.modes),
            Jsonb(dict(to.fields)),
            Jsonb({name: list(values) for name, values in to.row_filter.items()}),
            to.per_minute,
            to.per_day,
            to.max_uses,
            to.valid_to,
            grant_id,
        ),
    )
    detail = {"from": Terms.of(held).json(), "to": to.json()}
    record(conn, Deed("grant", grant_id, "narrow", by, reason, detail=detail))
    return stored.grant(conn, grant_id)


def suspend(conn: psycopg.Connection, grant_id: str, at: datetime, *, by: By, reason: str) -> Grant:
    """Stop a grant until it is resumed."""
    _move(conn, grant_id, GrantState.SUSPENDED, at, by, reason)
    conn.execute(
        'UPDATE hub."grant" SET suspended_at = %s, suspended_because = %s WHERE id = %s',
        (at, reason, grant_id),
    )
    record(conn, Deed("grant", grant_id, "suspend", by, reason))
    return stored.grant(conn, grant_id)


def resume(conn: psycopg.Connection, grant_id: str, at: datetime, *, by: By, reason: str) -> Grant:
    """Let a suspended grant hold again."""
    _move(conn, grant_id, GrantState.IN_FORCE, at, by, reason, also_holder=False)
    conn.execute(
        'UPDATE hub."grant" SET suspended_at = NULL, suspended_because = NULL WHERE id = %s',
        (grant_id,),
    )
    record(conn, Deed("grant", grant_id, "resume", by, reason))
    return stored.grant(conn, grant_id)


def revoke(conn: psycopg.Connection, grant_id: str, at: datetime, *, by: By, reason: str) -> Grant:
    """End a grant for good."""
    _move(conn, grant_id, GrantState.REVOKED, at, by, reason)
    conn.execute(
        'UPDATE hub."grant" SET revoked_at = %s, revoked_because = %s WHERE id = %s',
        (at, reason, grant_id),
    )
    record(conn, Deed("grant", grant_id, "revoke", by, reason))
    return stored.grant(conn, grant_id)


def _move(
    conn: psycopg.Connection,
    grant_id: str,
    to: GrantState,
    at: datetime,
    by: By,
    reason: str,
    *,
    also_holder: bool = True,
) -> None:
    held = _decided_by(conn, grant_id, at, by, also_holder=also_holder)
    _check_reason(reason)
    if to not in GRANT_MOVES[held.state]:
        raise WrongState(
            f"the grant is {held.state}; it cannot become {to}", zh="授权当前状态不允许此操作"
        )


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise Invalid("say why: it is kept with the grant", zh="须说明理由")


def _decided_by(
    conn: psycopg.Connection, grant_id: str, at: datetime, by: By, *, also_holder: bool = False
) -> Grant:
    """The grant, for an officer who may decide on it."""
    held = stored.grant(conn, grant_id, lock=True)
    source = answerable.source_of(held.resource)
    above = answerable.superior(source, local(at)).code if source else None
    holder = _holder(conn, held) if also_holder else None
    answerable.check_may_answer(by, source, local(at), above, holder)
    return held


def _holder(conn: psycopg.Connection, held: Grant) -> str | None:
    try:
        return systems.of_client(conn, held.client).department
    except NotFound:
        return None
