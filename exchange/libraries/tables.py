"""Dataset tables, created from their contracts."""

import psycopg


def create(connection: psycopg.Connection) -> None:
    """Create what is missing."""
