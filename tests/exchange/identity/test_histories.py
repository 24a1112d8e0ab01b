"""Former names and old certificates, read off the history of rows."""

from __future__ import annotations

import psycopg
import pytest

from exchange.identity import histories
from exchange.identity.resolving import resolve, spelled, spelled_in_sql
from exchange.libraries import aliases
from schemas.errors import Invalid
from schemas.grant import Subject

FIRST, SECOND = "91350100M000100Y43", "91110000600037341L"
UNIT = "330784001002GB00003F00040005"
OLD, NEW = "浙(2019)永康市不动产权第0000001号", "浙(2026)永康市不动产权第0000002号"


def registered(conn: psycopg.Connection, uscc: str, name: str, batch: int) -> None:
    """An entity's row as `batch` left it, its history written as a merge writes it."""
    conn.execute(
        "WITH gone AS (DELETE FROM library.legal_entity_registration WHERE uscc = %(uscc)s"
        " RETURNING *) INSERT INTO library.legal_entity_registration_history"
        " (uscc, name, entity_type, status, changed_at, _batch_from, _batch_to, _during)"
        " SELECT uscc, name, entity_type, status, changed_at, _batch, %(batch)s,"
        " tstzrange(_since, now()) FROM gone",
        {"uscc": uscc, "batch": batch},
    )
    conn.execute(
        "INSERT INTO library.legal_entity_registration"
        " (uscc, name, entity_type, status, changed_at, _batch, _since)"
        " VALUES (%s, %s, '1130', '1', now(), %s, now() - interval '1 day')",
        (uscc, name, batch),
    )


@pytest.fixture
def batches(conn: psycopg.Connection) -> list[int]:
    """Some batches to be evidence."""
    rows = conn.execute(
        "INSERT INTO library.batch (source, dataset, mode, window_end, state)"
        " SELECT 'registrations', 'legal_entity.registration', 'snapshot', n::text, 'published'"
        " FROM generate_series(1, 4) n RETURNING id"
    )
    return [int(number) for (number,) in rows]


def means(conn: psycopg.Connection, name: str) -> str:
    return resolve(conn, Subject("cn.uscc", name)).subject.id


class TestFormerNames:
    def test_a_renamed_entity_is_found_by_its_old_name(
        self, conn: psycopg.Connection, batches: list[int]
    ) -> None:
        """In any spelling of it, with the batch that renamed it as the evidence."""
        registered(conn, FIRST, "永康市旺达(集团)有限公司", batches[0])
        registered(conn, FIRST, "永康市新旺达有限公司", batches[1])

        assert 1 == histories.remember(
            conn, "legal_entity.registration", batches[1], "registrations"
        )

        found = resolve(conn, Subject("cn.uscc", "永康市旺达（集团） 有限公司"))
        assert FIRST == found.subject.id
        (alias,) = found.through
        assert ("former-name", batches[1], "registrations") == (
            alias.rule,
            alias.batch,
            alias.source,
        )

    def test_a_name_that_another_bears_is_nobody_s_alias(
        self, conn: psycopg.Connection, batches: list[int]
    ) -> None:
        """Whoever asks by a name that was taken over means neither for sure."""
        registered(conn, FIRST, "旺达公司", batches[0])
        registered(conn, FIRST, "新旺达公司", batches[1])
        registered(conn, SECOND, "旺达公司", batches[1])

        assert 0 == histories.remember(
            conn, "legal_entity.registration", batches[1], "registrations"
        )

    def test_a_name_taken_later_ends_the_alias(
        self, conn: psycopg.Connection, batches: list[int]
    ) -> None:
        """It is ended, not deleted: of the time before, it says what was known."""
        registered(conn, FIRST, "旺达公司", batches[0])
        registered(conn, FIRST, "新旺达公司", batches[1])
        histories.remember(conn, "legal_entity.registration", batches[1], "registrations")
        assert FIRST == means(conn, "旺达公司")

        registered(conn, SECOND, " 旺达公司", batches[2])
        histories.remember(conn, "legal_entity.registration", batches[2], "registrations")

        with pytest.raises(Invalid):
            means(conn, "旺达公司")
        assert [] == aliases.subjects(conn, "uscc", "旺达公司")

    @pytest.mark.parametrize(
        "name", ["旺达（集团）", "ABC&Co.'s 100%店", "ａｂｃ　贸易", "〔旧〕厂【分】"]
    )
    def test_one_spelling_in_python_and_in_sql(self, conn: psycopg.Connection, name: str) -> None:
        """Names are compared where they are, and mean the same there."""
        row = conn.execute(f"SELECT {spelled_in_sql('%s::text')}".replace("%%s", "%s"), (name,))

        assert [(spelled(name),)] == row.fetchall()


class TestOldCertificates:
    def test_lead_to_the_new_one_and_to_the_unit(
        self, conn: psycopg.Connection, batches: list[int]
    ) -> None:
        """A right whose certificate was replaced is found by the one in the drawer."""
        values = {"unit": UNIT, "old": OLD, "new": NEW, "batch": batches[0]}
        conn.execute(
            "INSERT INTO library.real_estate_right_history (right_no, unit_no, kind, status,"
            " holder_name, certificate_no, changed_at, _batch_from, _batch_to, _during)"
            " VALUES ('R1', %(unit)s, 'ownership', '1', '某人', %(old)s, now(), 0, %(batch)s,"
            " tstzrange(now() - interval '1 day', now()))",
            values,
        )
        conn.execute(
            "INSERT INTO library.real_estate_right (right_no, unit_no, kind, status, holder_name,"
            " certificate_no, changed_at, _batch, _since) VALUES ('R1', %(unit)s, 'ownership',"
            " '1', '某人', %(new)s, now(), %(batch)s, now())",
            values,
        )

        assert 2 == histories.remember(conn, "real_estate.right", batches[0], "rights")

        written = OLD.replace("(", "（").replace(")", "）")
        assert UNIT == resolve(conn, Subject("cn.real_estate_unit", written)).subject.id
        assert [NEW] == aliases.subjects(conn, "certificate_no", OLD)
        assert 0 == histories.remember(conn, "population.resident", batches[0], "residents")
