"""Addresses of databases: which driver speaks with them. No I/O.

People write "postgresql://…", which SQLAlchemy reads as psycopg 2; personae brings psycopg 3, which speaks
both ways, blocking and asynchronous.
"""

from __future__ import annotations

import re

_POSTGRESQL = re.compile(r"^postgres(?:ql)?(?:\+\w+)?://")


def database_url(address: str) -> str:
    """A SQLAlchemy URL whose PostgreSQL driver is psycopg 3, whichever was named; others stay as they are.

    >>> database_url("postgres://me@host/db")
    'postgresql+psycopg://me@host/db'
    """
    return _POSTGRESQL.sub("postgresql+psycopg://", address)
