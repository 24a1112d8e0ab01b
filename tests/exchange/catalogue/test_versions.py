"""Published versions: by two persons, for good, whoever asks; endings are told in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from exchange.agreements import evidence
from exchange.agreements.evidence import By
from exchange.catalogue import systems, versions
from exchange.catalogue.metadata import Added, AddedField, drafted
from exchange.catalogue.surroundings import around
from exchange.catalogue.systems import System
from exchange.catalogue.versions import Unpublishable
from exchange.database import Database, Role
from schemas import contract
from schemas.errors import Invalid, NotFound, Refused, WrongState
from schemas.grant import Form
from schemas.resource import Metadata

RESOURCE = "population.resident"
POLICE = "11330784MB9000111W"
AT = datetime(2026, 11, 22, 4, tzinfo=UTC)
CLERK, CHIEF = By("clerk:0101", POLICE), By("chief:0001", POLICE)
FILE = "数据局〔2026〕41号"


def draft(version: str = "1.0.0", **more: object) -> Metadata:
    """The usual proposal: residents, from the police's system, on condition."""
    added = Added(
        version=version,
        system="police-population",
        condition="依法履职需要",
        fields={"deceased": AddedField(forms=[Form.MASKED, Form.COMPARE])},
    )
    return drafted(contract.load(RESOURCE), added.model_copy(update=more))


def published(conn: psycopg.Connection, version: str = "1.0.0") -> versions.Published:
    """Propose and publish."""
    versions.propose(conn, draft(version), by=CLERK)
    return versions.publish(conn, RESOURCE, around(conn, RESOURCE), AT, by=CHIEF, file_number=FILE)


@pytest.fixture
def clerk(database: Database) -> psycopg.Connection:
    """A connection of the clerk's role, with the police's system registered."""
    conn = database.connect(Role.CLERK, autocommit=True)
    system = System("police-population", POLICE, "人口信息系统")
    systems.register(conn, system, by=CLERK, day=AT.date())
    return conn


class TestPublish:
    def test_two_persons_make_a_version(self, clerk: psycopg.Connection) -> None:
        """What is published is what was proposed, and the ledger holds its digest."""
        done = published(clerk)

        assert draft() == done.metadata
        assert ("clerk:0101", "chief:0001", FILE) == (
            done.proposed_by,
            done.approved_by,
            done.file_number,
        )
        told = evidence.events(clerk, "resource", RESOURCE)
        assert ["propose", "publish"] == [event.deed for event in told]
        assert done.digest.hex() == told[-1].detail["sha256"]

    def test_its_deed_is_in_the_ledger(self, clerk: psycopg.Connection, database: Database) -> None:
        """As an entry like every other, with a digest of the detail and no more."""
        published(clerk)

        with database.connect(Role.OWNER) as owner:
            rows = owner.execute("SELECT body FROM hub.ledger_entry ORDER BY seq").fetchall()
        said = json.loads(bytes(rows[-1][0]))
        assert ("resource-publish", RESOURCE, "chief:0001", "done") == (
            said["deed"],
            said["thing"],
            said["officer"],
            said["decision"],
        )

    def test_nobody_approves_their_own(self, clerk: psycopg.Connection) -> None:
        """One person alone publishes nothing."""
        versions.propose(clerk, draft(), by=CLERK)

        with pytest.raises(Refused, match="does not approve"):
            versions.publish(
                clerk, RESOURCE, around(clerk, RESOURCE), AT, by=CLERK, file_number=FILE
            )

        assert versions.latest(clerk, RESOURCE) is None

    def test_what_audits_would_find_is_not_published(self, clerk: psycopg.Connection) -> None:
        """The error names the place and the rule."""
        versions.propose(clerk, draft(system="unheard-of"), by=CLERK)

        known = around(clerk, RESOURCE)
        with pytest.raises(Unpublishable, match=r"population\.resident: system-unknown"):
            versions.publish(clerk, RESOURCE, known, AT, by=CHIEF, file_number=FILE)

    @pytest.mark.parametrize("version", ["1.0.0", "0.9.9"])
    def test_a_change_is_a_higher_version(self, clerk: psycopg.Connection, version: str) -> None:
        """The same number, or a lower one, says nothing new."""
        published(clerk)

        with pytest.raises(WrongState, match="a higher one"):
            versions.propose(clerk, draft(version), by=CLERK)

    def test_versions_are_numbers(self, clerk: psycopg.Connection) -> None:
        """1.10.0 comes after 1.9.0."""
        published(clerk, "1.9.0")

        assert "1.10.0" == published(clerk, "1.10.0").metadata.version
        assert ["1.9.0", "1.10.0"] == [
            each.metadata.version for each in versions.history(clerk, RESOURCE)
        ]

    def test_nothing_is_proposed(self, clerk: psycopg.Connection) -> None:
        """The error says what to do."""
        with pytest.raises(NotFound, match="catalogue propose"):
            versions.publish(
                clerk, RESOURCE, around(clerk, RESOURCE), AT, by=CHIEF, file_number=FILE
            )


CHANGES = {
    "update": "UPDATE hub.resource_version SET file_number = 'x'",
    "delete": "DELETE FROM hub.resource_version",
    "truncate": "TRUNCATE hub.resource_version",
    "swap": "UPDATE hub.resource_ending SET sunset_at = now() + interval '9 years'",
    "history": "DELETE FROM hub.agreement_event",
}


class TestImmutable:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_no_role_of_ours_changes_what_was_published(
        self, clerk: psycopg.Connection, database: Database, change: str
    ) -> None:
        """Neither the owner of the tables nor anybody else; the trigger or the rights refuse."""
        published(clerk)
        versions.end(clerk, RESOURCE, "1.0.0", AT + timedelta(days=60), AT, by=CHIEF, reason="换版")

        for role in Role:
            with (
                database.connect(role, autocommit=True) as conn,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                conn.execute(change.encode())
        assert FILE == versions.find(clerk, RESOURCE, "1.0.0").file_number

    def test_planted_without_the_trigger_it_would_be_changed_and_found(
        self, clerk: psycopg.Connection, database: Database
    ) -> None:
        """The test above can fail; and an owner who takes the trigger away meets the digest."""
        published(clerk)
        with database.connect(Role.OWNER, autocommit=True) as owner:
            owner.execute("ALTER TABLE hub.resource_version DISABLE TRIGGER only_added_to")
            owner.execute("UPDATE hub.resource_version SET file_number = 'x'")
            with pytest.raises(psycopg.errors.CheckViolation):
                owner.execute("UPDATE hub.resource_version SET metadata = '{}'")
            owner.execute(
                "ALTER TABLE hub.resource_version DROP CONSTRAINT resource_version_digest"
            )
            owner.execute("UPDATE hub.resource_version SET metadata = replace(metadata, '1', '2')")

        with pytest.raises(WrongState, match="not what was published"):
            versions.latest(clerk, RESOURCE)


class TestEnd:
    def test_its_users_are_told_in_time(self, clerk: psycopg.Connection) -> None:
        """Thirty days at least."""
        published(clerk)

        with pytest.raises(Invalid, match="30 days"):
            versions.end(
                clerk, RESOURCE, "1.0.0", AT + timedelta(days=29), AT, by=CHIEF, reason="换版"
            )

    def test_the_last_notice_counts(self, clerk: psycopg.Connection) -> None:
        """An ending may be moved; what was said before stays on record."""
        published(clerk)
        for days in (60, 90):
            versions.end(
                clerk, RESOURCE, "1.0.0", AT + timedelta(days=days), AT, by=CHIEF, reason="换版"
            )

        assert AT + timedelta(days=90) == versions.find(clerk, RESOURCE, "1.0.0").sunset_at
        assert 2 == [e.deed for e in evidence.events(clerk, "resource", RESOURCE)].count("end")
