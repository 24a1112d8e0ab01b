"""Alembic's entry: it uses the connection that it is handed and never opens one."""

from alembic import context

from schemas.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    version_table_schema="public",
)
with context.begin_transaction():
    context.run_migrations()
