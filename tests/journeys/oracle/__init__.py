"""What must be true after everything was killed: nothing acknowledged is lost, nothing is doubled.

    evidence    the ledger against the receipts that clients hold
    vault       the licenses against what was acknowledged, and against each other
    libraries   the libraries against the departments' own systems

Each function looks with SQL of its own and yields a line for everything that is wrong. It mends
nothing, and trusts no figure that the product keeps about itself.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg

Connection: TypeAlias = psycopg.Connection[Any]
Findings: TypeAlias = Iterator[str]
