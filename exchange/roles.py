"""What an administrator must run once on a server before Yizhan may use it.

Roles, the two databases, and nothing else: what each role may do with each table is written beside
the tables, in the migrations. Passwords leave here only as SCRAM-SHA-256 verifiers (RFC 7677), so
the printed SQL can travel by mail without giving a password away.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from exchange.database import Role

AIRFLOW = "yizhan_airflow"
ROLES: tuple[str, ...] = (*Role, AIRFLOW)
ITERATIONS = 4096  # PostgreSQL's own default, scram_iterations


def scram_verifier(password: str, salt: bytes) -> str:
    """The verifier PostgreSQL stores for `password` (RFC 5803), given 16 bytes of salt."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${ITERATIONS}:{base64.b64encode(salt).decode()}${stored}:{server}"


def role_statements(passwords: Mapping[str, str], salt: bytes) -> list[str]:
    """SQL that makes every role, or gives it its password again."""
    roles = [_role_statement(role, scram_verifier(passwords[role], salt)) for role in ROLES]
    # Dataset tables are the loader's; who migrates must be able to widen them.
    return [*roles, f"GRANT {Role.INGEST} TO {Role.OWNER}"]


def _role_statement(role: str, verifier: str) -> str:
    return (
        "DO $$ BEGIN\n"
        f"  CREATE ROLE {role} LOGIN PASSWORD '{verifier}';\n"
        "EXCEPTION WHEN duplicate_object THEN\n"
        f"  ALTER ROLE {role} LOGIN PASSWORD '{verifier}';\n"
        "END $$"
    )


def database_statements(name: str, airflow_name: str) -> list[tuple[str, str]]:
    """Pairs of (database, SQL that makes it); CREATE DATABASE cannot be conditional."""
    return [
        (name, f'CREATE DATABASE "{name}" OWNER {Role.OWNER} TEMPLATE template0 ENCODING UTF8'),
        (
            airflow_name,
            f'CREATE DATABASE "{airflow_name}" OWNER {AIRFLOW} TEMPLATE template0 ENCODING UTF8',
        ),
    ]


def closing_statements(name: str, airflow_name: str) -> list[str]:
    """SQL that keeps everybody else out of the two databases."""
    return [
        f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',
        *[f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO {role}' for role in Role],
        f'REVOKE ALL ON DATABASE "{airflow_name}" FROM PUBLIC',
        f'GRANT CONNECT, TEMPORARY, CREATE ON DATABASE "{airflow_name}" TO {AIRFLOW}',
    ]
