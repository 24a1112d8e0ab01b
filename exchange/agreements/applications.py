"""Applications: submitted by the department that needs data, answered by the one whose data it is.

Submitting checks what can be checked (a registered system, a published version, a law, a period);
answering is the source department's, in its time (`watch.py`), by another officer than who applied.
Each deed is an event and a ledger entry; nothing commits here.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime

import psycopg

from exchange import grants
from exchange.agreements import answerable, stored, terms
from exchange.agreements.clocks import local
from exchange.agreements.evidence import By, Deed, record
from exchange.catalogue import systems, versions
from exchange.catalogue.lint import cites
from schemas.application import MOVES, Application, State, Terms
from schemas.errors import Invalid, NotFound, Refused, WrongState
from schemas.grant import Grant, Needs
from schemas.limits import Step, limit
from schemas.resource import Metadata


def submit(
    conn: psycopg.Connection,
    client: str,
    resource: str,
    asked: Terms,
    at: datetime,
    *,
    by: By,
    scenario: str,
    promise: str,
    file_number: str,
) -> Application:
    """Submit an application of a client's department; its clock runs from now.

    Raises `Invalid`, `NotFound` or `Refused`, and then writes nothing.
    """
    if not (scenario.strip() and promise.strip() and file_number.strip()):
        raise Invalid("say the scenario, the promise and the file number", zh="申请要素不全")
    system = systems.of_client(conn, client)
    said = _offered(conn, resource, at)
    terms.check(asked, said)
    source = answerable.acting(said.provider_code, local(at)).code
    share_class = terms.share_class(asked, said)
    jurisdiction = answerable.jurisdiction(source)
    clock = limit(jurisdiction, Step.ANSWER, share_class, local(at))  # type: ignore[arg-type]  # of a contract
    made = Application(
        id=f"application-{secrets.token_hex(8)}",
        state=State.SUBMITTED,
        client=client,
        department=system.department,
        resource=resource,
        version=said.version,
        source_department=source,
        jurisdiction=jurisdiction,
        share_class=share_class,
        terms=asked,
        scenario=scenario,
        promise=promise,
        file_number=file_number,
        submitted_by=by.officer,
        submitted_at=at,
        clock_started_at=at,
        clock_days=clock.working_days,
        clock_law=clock.law,
    )
    stored.insert(conn, made)
    detail = {"client": client, "resource": resource, "terms": asked.json()}
    record(conn, Deed("application", made.id, "submit", by, file_number, clock.law, detail))
    return made


def give_back(
    conn: psycopg.Connection, application: str, at: datetime, *, by: By, reason: str
) -> Application:
    """Return an application to be completed (补正); its clock starts anew when it comes again."""
    held = _answered_by(conn, application, at, by)
    if not reason.strip():
        raise Invalid("say once, and completely, what is missing", zh="须一次性告知需补正的内容")
    return _moved(conn, held, State.RETURNED, Deed("", "", "return", by, reason))


def resubmit(
    conn: psycopg.Connection, application: str, asked: Terms, at: datetime, *, by: By
) -> Application:
    """Submit a returned application again; its clock starts anew."""
    held = _own(conn, application, at, by)
    said = _offered(conn, held.resource, at)
    terms.check(asked, said)
    again = replace(
        held,
        version=said.version,
        share_class=terms.share_class(asked, said),
        terms=asked,
        submitted_by=by.officer,
        clock_started_at=at,
    )
    deed = Deed("", "", "resubmit", by, detail={"terms": asked.json()})
    return _moved(conn, again, State.SUBMITTED, deed)


def withdraw(
    conn: psycopg.Connection, application: str, at: datetime, *, by: By, reason: str
) -> Application:
    """Take an application back, as the department that made it."""
    held = _own(conn, application, at, by)
    return _moved(conn, held, State.WITHDRAWN, Deed("", "", "withdraw", by, reason))


def refuse(
    conn: psycopg.Connection, application: str, at: datetime, *, by: By, reason: str, law: str
) -> Application:
    """Refuse an application: with a reason, and citing the law that forbids it.

    Raises `Invalid` when no law is cited: what no law forbids is shared.
    """
    held = _answered_by(conn, application, at, by)
    if not cites(law):
        raise Invalid(
            "a refusal cites the law that forbids sharing: 《…》第…条",
            zh="不予共享须引用法律法规依据",
            rule="law-missing",
        )
    if not reason.strip():
        raise Invalid("a refusal has a reason", zh="不予共享须说明理由")
    answered = replace(held, answered_at=at)
    return _moved(conn, answered, State.REFUSED, Deed("", "", "refuse", by, reason, law))


def approve(
    conn: psycopg.Connection,
    application: str,
    at: datetime,
    *,
    by: By,
    file_number: str,
    given: Terms | None = None,
    law: str = "",
    needs: Needs = Needs.NOTHING,
) -> Grant:
    """Approve an application: the grant is in force from its first day on.

    Less than was asked for is a refusal in part, so it cites a law too. What needs a consent is
    the approver's to say; a utility's or a bank's always does.
    """
    held = _answered_by(conn, application, at, by)
    _check_move(held, State.GRANTED)
    allowed = given or held.terms
    _check_given(allowed, held, law)
    published = versions.find(conn, held.resource, held.version)
    terms.check(allowed, published.metadata)
    made = _grant(held, allowed, file_number, needs, published.sunset_at)
    if systems.of_client(conn, held.client).needs_consent:
        made = replace(made, needs=Needs.CONSENT)
    grants.give(conn, made)
    detail = {"grant": made.id, "needs": made.needs, "terms": allowed.json()}
    deed = Deed("", "", "approve", by, file_number, law, detail)
    _moved(conn, replace(held, answered_at=at, grant_id=made.id), State.GRANTED, deed)
    record(conn, Deed("grant", made.id, "give", by, file_number, law, detail))
    return made


def _check_given(allowed: Terms, held: Application, law: str) -> None:
    if not terms.narrower(allowed, held.terms):
        raise Refused("an approval gives what was asked for, or less", rule="more-than-asked")
    if allowed != held.terms and not cites(law):
        raise Invalid(
            "giving less than was asked for cites the law that forbids the rest",
            zh="部分同意须引用法律法规依据",
            rule="law-missing",
        )


def _grant(
    held: Application,
    allowed: Terms,
    file_number: str,
    needs: Needs,
    sunset_at: datetime | None,
) -> Grant:
    return Grant(
        id=f"grant-{held.id.removeprefix('application-')}",
        client=held.client,
        resource=held.resource,
        purposes=allowed.purposes,
        bases=allowed.bases,
        items=allowed.items,
        fields=allowed.fields,
        modes=allowed.modes,
        valid_from=allowed.valid_from,
        valid_to=allowed.valid_to,
        per_minute=allowed.per_minute,
        per_day=allowed.per_day,
        file_number=file_number,
        row_filter=allowed.row_filter,
        max_uses=allowed.max_uses,
        needs=needs,
        sunset_at=sunset_at,
        version=held.version,
        application=held.id,
    )


def _offered(conn: psycopg.Connection, resource: str, at: datetime) -> Metadata:
    newest = versions.latest(conn, resource)
    if newest is None:
        raise NotFound(
            f"{resource} is not published: ask its department to publish it",
            zh="该资源尚未发布",
            rule="resource-unknown",
        )
    if newest.sunset_at is not None and newest.sunset_at <= at:
        raise WrongState(f"{resource} {newest.metadata.version} has ended", zh="该资源已停止共享")
    return newest.metadata


def _answered_by(conn: psycopg.Connection, application: str, at: datetime, by: By) -> Application:
    """The application, for an officer who may answer it."""
    held = stored.find(conn, application, lock=True)
    answerable.check_may_answer(by, held.source_department, local(at), held.escalated_to)
    if by.officer == held.submitted_by:
        raise Refused("who applied does not answer", zh="申请人不得自行答复", rule="two-persons")
    return held


def _own(conn: psycopg.Connection, application: str, at: datetime, by: By) -> Application:
    held = stored.find(conn, application, lock=True)
    answerable.check_may_answer(by, held.department, local(at))
    return held


def _moved(conn: psycopg.Connection, held: Application, to: State, deed: Deed) -> Application:
    """One step of its way: the row, the event and the entry."""
    _check_move(held, to)
    moved = replace(held, state=to)
    stored.update(conn, moved)
    record(conn, replace(deed, thing="application", thing_id=held.id))
    return moved


def _check_move(held: Application, to: State) -> None:
    if to not in MOVES[held.state]:
        raise WrongState(
            f"the application is {held.state}; it cannot become {to}", zh="申请当前状态不允许此操作"
        )
