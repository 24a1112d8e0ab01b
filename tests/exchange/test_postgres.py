"""The embedded server: passwords, roles, and nothing widened."""

from __future__ import annotations

import psycopg
import pytest

from exchange.database import Database, Role
from exchange.settings import Settings
from schemas.errors import Unavailable
from tests.conftest import RunningCluster


class TestRoles:
    def test_every_role_connects_with_its_own_password(self, database: Database) -> None:
        """One role a process, each with a password."""
        for role in Role:
            with database.connect(role) as connection:
                row = connection.execute("SELECT current_user").fetchone()

            assert (role.value,) == row

    def test_a_wrong_password_is_refused(self, database: Database) -> None:
        """There is no `trust` anywhere."""
        wrong = Database(database.host, database.port, database.name, {Role.HUB: "wrong"})

        with pytest.raises(Unavailable, match="password authentication failed"):
            wrong.connect(Role.HUB)


class TestSecrets:
    def test_a_secret_is_made_once_and_is_private(self, settings: Settings) -> None:
        """The same bytes at every asking, in a file that nobody else reads."""
        first = settings.secret("subject.key")

        assert first == settings.secret("subject.key")
        assert 0o600 == (settings.secrets / "subject.key").stat().st_mode & 0o777
        assert 0o700 == settings.secrets.stat().st_mode & 0o777


class TestServerLog:
    def test_an_error_leaves_no_value_in_the_log(self, cluster: RunningCluster) -> None:
        """DETAIL, statements and parameters repeat personal data; the log has none of them."""
        canary = "11010519491231002X"
        with cluster.admin() as admin:
            admin.execute("CREATE TEMP TABLE t (id text PRIMARY KEY)")
            admin.execute("INSERT INTO t VALUES (%s)", (canary,))
            with pytest.raises(psycopg.errors.UniqueViolation):
                admin.execute("INSERT INTO t VALUES (%s)", (canary,))

        log = (cluster.home / "postgres.log").read_text()

        assert "duplicate key" in log
        assert canary not in log
