"""Tables and columns of who calls: how keys follow each other, and how often a client missed.

The columns stand in tables of the hub room (`schemas/tables/hub.py`); migration 0011 adds them.
"""

from sqlalchemy import Column, Date, Index, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from schemas.tables import METADATA

MISS = Table(
    "miss",
    METADATA,
    Column("receipt", UUID(as_uuid=True), primary_key=True),
    Column("client", Text, nullable=False),
    Column("day", Date, nullable=False, comment="civil day in Asia/Shanghai"),
    Index("miss_of_client", "client", "day"),
    schema="hub",
)
TABLES = (MISS,)
