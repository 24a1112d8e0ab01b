"""A PostgreSQL server of the user's own: what its administrator runs, and that it is enough."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from exchange import bootstrap, migrate, roles
from exchange.database import Role
from exchange.postgres import binaries
from exchange.settings import AIRFLOW_DATABASE, Settings, database_at, passwords
from schemas.errors import Invalid
from tests.conftest import running_cluster


class TestGrants:
    def test_the_printed_sql_is_all_that_an_administrator_must_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """psql runs it twice; then roles connect, tables are made, and no password is in it."""
        home = tmp_path / "home"
        with running_cluster(tmp_path / "server") as server:
            url = f"postgresql://127.0.0.1:{server.cluster.port}/city"
            sql = bootstrap.grants_sql(home, "city", AIRFLOW_DATABASE)
            for _ in range(2):
                _psql(server.cluster.port, bootstrap.superuser_password(server.home), sql)
            monkeypatch.setenv("YIZHAN_DATABASE_URL", url)
            settings = Settings.load(home)

            migrate.upgrade(settings.database)
            migrate.upgrade(settings.database)

            for role in Role:
                settings.database.connect(role).close()
            assert not [secret for secret in passwords(home).values() if secret in sql]

    def test_a_stranger_on_the_server_is_kept_out(self, tmp_path: Path) -> None:
        """Only our roles may connect to our databases."""
        statements = roles.closing_statements("city", AIRFLOW_DATABASE)

        assert 'REVOKE ALL ON DATABASE "city" FROM PUBLIC' in statements


class TestUrl:
    @pytest.mark.parametrize("url", ["mysql://host/x", "city", "postgresql:///nohost"])
    def test_what_is_no_postgresql_address_is_refused(self, url: str, tmp_path: Path) -> None:
        """The error shows what an address looks like."""
        with pytest.raises(Invalid, match="postgresql://host"):
            database_at(url, tmp_path)

    def test_a_moved_public_address_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was sealed carries it."""
        (tmp_path / "public_url").write_text("https://one.example\n")
        monkeypatch.setenv("YIZHAN_PUBLIC_URL", "https://two.example")
        monkeypatch.setenv("YIZHAN_DATABASE_URL", "postgresql://h/x")

        with pytest.raises(Invalid, match="cannot move"):
            Settings.load(tmp_path)


def _psql(port: int, password: str, sql: str) -> None:
    words = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-q"]
    subprocess.run(
        [str(binaries() / "psql"), *words],
        input=sql,
        text=True,
        check=True,
        env={**os.environ, "PGPASSWORD": password},
    )
