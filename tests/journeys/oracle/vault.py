"""The licenses against what was acknowledged, against each other, and against their public log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from exchange import trust
from exchange.settings import Settings
from license_vault.verify import verify
from schemas import checkpoint, merkle
from schemas.errors import Invalid
from schemas.license import STATUS_BITS, Form, Status
from tests.journeys.oracle import Connection, Findings

SAMPLE = 12
ENDED = {Status.REVOKED: "revoke", Status.SUPERSEDED: "supersede"}
RESERVED = """
SELECT s.idempotency_key, s.state, l.id, l.status
FROM vault.sealing s FULL JOIN vault.license l ON l.id = s.license_id
WHERE s.state IS DISTINCT FROM 'voided'
"""
SLOTS = """
SELECT l.id, l.status, s.value FROM vault.license l
LEFT JOIN vault.status_slot s ON s.list = l.status_list AND s."index" = l.status_index
"""
IN_FORCE_TWICE = """
SELECT count(*) FROM (
    SELECT FROM vault.license l JOIN vault.sealing s ON s.license_id = l.id
    WHERE l.status = 'valid' AND s.idempotency_key NOT LIKE 'load/%'
    GROUP BY l.type_code, l.subject_id HAVING count(*) > 1) twice
"""
NOT_TOLD = """
SELECT count(*) FROM vault.log_entry e
FULL JOIN vault.outbox o ON o.log_index = e."index" AND o.license_id = e.license_id
    AND o.event = e.event
WHERE e."index" IS NULL OR o.log_index IS NULL
"""
ALTERED = "SELECT count(*) FROM vault.file WHERE digest <> sha256(bytes)"
SAMPLED = """
SELECT l.id, pdf.bytes, proof.bytes FROM vault.license l
JOIN vault.file pdf ON pdf.license_id = l.id AND pdf.form = 'pdf'
JOIN vault.file proof ON proof.license_id = l.id AND proof.form = 'proof'
WHERE l.status = 'valid' ORDER BY md5(l.id) LIMIT %s
"""


def licenses(conn: Connection, acknowledged: Sequence[str]) -> Findings:
    """Every key has one reservation, finished, with one license: the one that was acknowledged."""
    held = defaultdict[str, list[str]](list)
    status = dict[str, str]()
    for key, state, license_id, now in conn.execute(RESERVED):
        held[key].append(license_id)
        status[license_id] = now
        if state != "finished" or license_id is None:
            yield f"{key}: its reservation is {state} and its license is {license_id}"
    yield from (f"{key} has {len(ids)} licenses" for key, ids in held.items() if len(ids) > 1)
    for event, key, license_id in (line.split("\t") for line in acknowledged):
        if held.get(key) != [license_id]:
            yield f"{key}: {license_id} was acknowledged and the vault holds {held.get(key)}"
        if event == "revoked" and status.get(license_id) != Status.REVOKED:
            yield f"{license_id}: acknowledged as revoked, and is {status.get(license_id)}"


def vault(conn: Connection) -> Findings:
    """Log, slot and files of each license say what its row says; nobody holds the same twice."""
    logged = defaultdict[str, Counter[str]](Counter)
    for license_id, event in conn.execute("SELECT license_id, event FROM vault.log_entry"):
        logged[license_id][event] += 1
    forms = defaultdict[str, set[str]](set)
    for license_id, form in conn.execute("SELECT license_id, form FROM vault.file"):
        forms[license_id].add(form)
    for license_id, status, slot in conn.execute(SLOTS):
        events = Counter(["issue", *([ENDED[status]] if status in ENDED else [])])
        if logged.pop(license_id, None) != events:
            yield f"{license_id} is {status} and the log does not say just {dict(events)}"
        if slot != STATUS_BITS[Status(status)]:
            yield f"{license_id} is {status} and its slot says {slot}"
        if forms[license_id] != set(Form):
            yield f"{license_id} has only the forms {sorted(forms[license_id])}"
    yield from (f"the log speaks of {each}, which is not there" for each in logged)
    yield from _none(conn, IN_FORCE_TWICE, "subjects hold two licenses of a type in force")
    yield from _none(conn, NOT_TOLD, "events are not in the outbox as they are in the log")
    yield from _none(conn, ALTERED, "files have another digest than was written down")


def log(conn: Connection, origin: str, vkey: str) -> Findings:
    """The public log has no gap, and every head that was ever signed is a head of it."""
    edge = merkle.Frontier()
    roots, nodes = {0: edge.root()}, dict[tuple[int, int], bytes]()
    rows = conn.execute('SELECT "index", entry, leaf FROM vault.log_entry ORDER BY 1').fetchall()
    for place, (index, entry, leaf) in enumerate(rows):
        if index != place or merkle.leaf_hash(bytes(entry)) != bytes(leaf):
            yield f"log entry {place} is missing, or not what was hashed"
        edge, complete = edge.append([merkle.leaf_hash(bytes(entry))])
        nodes |= {(level, at): hashed for level, at, hashed in complete}
        roots[edge.size] = edge.root()
    kept = conn.execute('SELECT level, "index", hash FROM vault.log_node').fetchall()
    if {(level, at): bytes(hashed) for level, at, hashed in kept} != nodes:
        yield "the log's tree is not the tree of its entries"
    yield from _heads(conn, roots, origin, vkey)


def documents(conn: Connection, settings: Settings) -> Findings:
    """A sample of what is in force verifies VALID, with its proof, asking the hub."""
    believed, now = trust.trust_of(settings), datetime.now(UTC)
    rows = conn.execute(SAMPLED, (SAMPLE,)).fetchall()
    for license_id, pdf, proof in rows:
        told = verify(bytes(pdf), believed, now, trust.ask_hub, proof=bytes(proof))
        if told.verdict != "VALID":
            yield f"{license_id} verifies as {told.verdict}, {told.reason}"
    if len(rows) < SAMPLE:
        yield f"only {len(rows)} licenses are in force and proved"


def _heads(conn: Connection, roots: dict[int, bytes], origin: str, vkey: str) -> Iterable[str]:
    for size, note in conn.execute("SELECT size, note FROM vault.checkpoint ORDER BY size"):
        try:
            head = checkpoint.verify(note, vkey)
        except Invalid as err:
            yield f"the signed head of {size} log entries: {err.message}"
            continue
        if (head.origin, head.size) != (origin, size) or roots.get(size) != head.root:
            yield f"the signed head of {size} log entries is of another log"


def _none(conn: Connection, query: str, what: str) -> Findings:
    row = conn.execute(query.encode()).fetchone()
    if row and row[0]:
        yield f"{row[0]} {what}"
