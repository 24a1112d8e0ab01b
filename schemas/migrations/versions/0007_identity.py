"""Identity: aliases with their evidence, what people decided, and where each number leads."""

from alembic import op

from schemas.tables import METADATA
from schemas.tables.identity import RULES, TABLES, among

revision = "0007_identity"
down_revision = "0006_quality"

EVIDENCE = (
    "DELETE FROM library.alias WHERE alias = subject",  # says nothing, and would lead in a circle
    "ALTER TABLE library.alias DROP CONSTRAINT alias_pkey",
    f"""
    ALTER TABLE library.alias
        ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ADD COLUMN rule text NOT NULL DEFAULT 'former-number',
        ADD COLUMN batch bigint REFERENCES library.batch (id),
        ADD COLUMN decision bigint REFERENCES library.identity_decision (id),
        ADD COLUMN until timestamptz,
        ADD COLUMN ended_by bigint REFERENCES library.identity_decision (id),
        ADD CONSTRAINT alias_rule CHECK ({among("rule", RULES)}),
        ADD CONSTRAINT alias_two CHECK (alias <> subject),
        ADD CONSTRAINT alias_ended CHECK (until IS NOT NULL OR ended_by IS NULL)
    """,
    r"""
    UPDATE library.alias SET rule = 'fifteen-digits'
    WHERE kind = 'resident' AND alias ~ '^[0-9]{15}$'
    """,
    """
    CREATE UNIQUE INDEX alias_in_force
    ON library.alias (kind, alias, subject, rule, source) WHERE until IS NULL
    """,
    "CREATE INDEX alias_number ON library.alias (kind, alias)",
    """
    CREATE INDEX alias_former_name ON library.alias (alias)
    WHERE rule = 'former-name' AND until IS NULL
    """,
    """
    CREATE INDEX alias_disbelieved ON library.alias (kind, alias, subject)
    WHERE ended_by IS NOT NULL AND decision IS NULL
    """,
    "CREATE INDEX alias_subject ON library.alias (kind, subject)",
)

# One writer at a time: two that did not see each other's aliases would each leave a chain half
# followed. Waiting is short, because a batch keeps its aliases at the end of its transaction.
SETTLE = """
CREATE FUNCTION library.settle(kinds text[], numbers text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(26985, 7);
    MERGE INTO library.canonical c USING (
        WITH RECURSIVE affected (kind, number) AS (
            SELECT * FROM unnest(kinds, numbers)
            UNION
            SELECT a.kind, a.alias FROM library.alias a
            JOIN affected f ON a.kind = f.kind AND a.subject = f.number
            WHERE a.until IS NULL
        ), roads (kind, number, here) AS (
            SELECT kind, number, number FROM affected
            UNION
            SELECT r.kind, r.number, a.subject FROM roads r
            JOIN library.alias a ON a.kind = r.kind AND a.alias = r.here
            WHERE a.until IS NULL
        ), ends AS (
            SELECT r.* FROM roads r
            WHERE NOT EXISTS (
                SELECT FROM library.alias a
                WHERE a.kind = r.kind AND a.alias = r.here AND a.until IS NULL)
        )
        SELECT f.kind, f.number, CASE count(e.here) WHEN 1 THEN min(e.here) END AS subject
        FROM affected f LEFT JOIN ends e USING (kind, number)
        GROUP BY f.kind, f.number
    ) s ON c.kind = s.kind AND c.number = s.number
    WHEN MATCHED AND s.subject = s.number THEN DELETE
    WHEN MATCHED AND s.subject IS DISTINCT FROM c.subject THEN UPDATE SET subject = s.subject
    WHEN NOT MATCHED AND s.subject IS DISTINCT FROM s.number THEN
        INSERT (kind, number, subject) VALUES (s.kind, s.number, s.subject);
END $$
"""
TRIGGERS = (
    SETTLE,
    "REVOKE EXECUTE ON FUNCTION library.settle FROM PUBLIC",
    """
    CREATE FUNCTION library.alias_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF EXISTS (SELECT FROM changed) THEN
            PERFORM library.settle(array_agg(kind), array_agg(alias))
            FROM (SELECT DISTINCT kind, alias FROM changed) each;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER alias_added AFTER INSERT ON library.alias
    REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION library.alias_changed()
    """,
    """
    CREATE TRIGGER alias_ended AFTER UPDATE ON library.alias
    REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION library.alias_changed()
    """,
    """
    SELECT library.settle(array_agg(kind), array_agg(alias))
    FROM (SELECT DISTINCT kind, alias FROM library.alias) each
    HAVING count(*) > 0
    """,
)

# For SQL over the libraries. In a join over many rows, LEFT JOIN library.canonical instead.
FUNCTIONS = (
    """
    CREATE FUNCTION library.subject_of(kind text, number text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT coalesce(
            (SELECT c.subject FROM library.canonical c WHERE c.kind = $1 AND c.number = $2), $2);
    END
    """,
    """
    CREATE FUNCTION library.same_subject(kind text, one text, other text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT library.subject_of($1, $2) = library.subject_of($1, $3);
    END
    """,
    """
    CREATE FUNCTION library.identity_changed(after timestamptz)
    RETURNS TABLE (kind text, number text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH RECURSIVE touched AS (
            SELECT a.kind, a.alias AS number FROM library.alias a
            WHERE a.since > $1 OR a.until > $1
            UNION
            SELECT a.kind, a.alias FROM library.alias a
            JOIN touched t ON a.kind = t.kind AND a.subject = t.number
        )
        SELECT * FROM touched;
    END
    """,
)

GRANTS = (
    # An alias is ended, never changed or deleted.
    "REVOKE UPDATE ON library.alias FROM yizhan_ingest",
    "GRANT UPDATE (until, ended_by) ON library.alias TO yizhan_ingest",
    "GRANT SELECT, INSERT ON library.identity_decision TO yizhan_ingest",
    "GRANT SELECT, INSERT, UPDATE (state) ON library.link_candidate TO yizhan_ingest",
    "GRANT SELECT ON library.canonical TO yizhan_ingest, yizhan_hub, yizhan_vault",
)


def upgrade() -> None:
    """Widen what is there, and settle what was known already."""
    METADATA.create_all(op.get_bind(), tables=list(TABLES), checkfirst=False)
    for statement in (*EVIDENCE, *TRIGGERS, *FUNCTIONS, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: what was recorded is not unmade by a migration."""
    raise NotImplementedError
