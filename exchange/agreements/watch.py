"""Who is late: every open application against its clock, warnings at 50, 80 and 100 %.

A warning is given once for each run of a clock. When the whole limit has passed in silence the
application goes to the department above, which may answer it from then on. Run it as often as you
like; `yizhan application watch` does, and a DAG each hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from exchange.agreements import answerable, clocks, stored
from exchange.agreements.clocks import LEVELS, Standing
from exchange.agreements.evidence import By, Deed, record
from schemas.application import WAITING, Application, State
from schemas.working_days import calendar

CLOCK = By("system:clock")


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning that was given now: of what, how far its clock had run, and who was told."""

    application: Application
    percent: int
    standing: Standing
    told: str


def standing(application: Application, at: datetime) -> Standing | None:
    """How an application's clock stands; none where nobody owes an answer."""
    if application.state not in WAITING:
        return None
    days = calendar(application.jurisdiction)
    return clocks.standing(days, application.clock_started_at, application.clock_days, at)


def watch(conn: psycopg.Connection, at: datetime) -> list[Warned]:
    """Give the warnings that are due, and pass on what nobody answered in time."""
    warned = list[Warned]()
    for each in stored.waiting(conn):
        stands = standing(each, at)
        assert stands is not None
        told = {level: _told(each, level, at) for level in stands.reached}
        new = [level for level in stands.reached if _warn(conn, each, level, stands, told[level])]
        warned += [Warned(each, level, stands, told[level]) for level in new]
        if stands.overdue and each.state is State.SUBMITTED:
            _escalate(conn, each, told[LEVELS[-1]], stands)
    return warned


def _told(application: Application, level: int, at: datetime) -> str:
    day = clocks.local(at)
    if level < LEVELS[-1]:
        return answerable.acting(application.source_department, day).code
    return answerable.superior(application.source_department, day).code


def _warn(
    conn: psycopg.Connection, application: Application, level: int, stands: Standing, told: str
) -> bool:
    done = conn.execute(
        "INSERT INTO hub.clock_warning (application, clock_started_at, percent, deadline,"
        " provisional, told) VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            application.id,
            application.clock_started_at,
            level,
            stands.deadline,
            stands.provisional,
            told,
        ),
    )
    return done.rowcount == 1


def _escalate(
    conn: psycopg.Connection, application: Application, to: str, stands: Standing
) -> None:
    moved = conn.execute(
        "UPDATE hub.application SET state = %s, escalated_to = %s WHERE id = %s AND state = %s",
        (State.ESCALATED, to, application.id, State.SUBMITTED),
    )
    if moved.rowcount == 0:
        return  # it was answered while we looked
    detail = {"to": to, "deadline": stands.deadline.isoformat()}
    reason = f"no answer in {application.clock_days} working days"
    law = application.clock_law
    record(conn, Deed("application", application.id, "escalate", CLOCK, reason, law, detail))
