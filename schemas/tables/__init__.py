"""Tables at rest: one `METADATA`, one module a room. Nothing here opens a connection."""

from sqlalchemy import MetaData

METADATA = MetaData()
