"""Whether a bot of this container or machine is at work: what its own heartbeat in the database says.

Run as: python -m bot.state.alive      (0: yes; 1: no, and a word on why)

For health checks (deploy/). A bot writes down every few seconds that it is there, from the loop that answers
people, through the database it needs for it; so silence means that it hangs, or can't reach its database.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from bot.state.database import default_url, parsed
from bot.state.processes import SILENT_SECONDS, this_host
from bot.state.tables import processes
from personae.errors import PersonaeError
from personae.secret_files import take_up_secret_files


def problem(environment: Mapping[str, str], *, now: float) -> str | None:
    """What is wrong with the bot of this machine; None when it is at work. Raises ConfigError."""
    home = Path(environment.get("PERSONAE_HOME") or "var")
    url = parsed(environment.get("PERSONAE_DATABASE_URL") or default_url(home))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return "no bot has opened its database yet"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    query = sa.select(sa.func.max(processes.c.seen_at)).where(processes.c.host == this_host())
    try:
        with engine.connect() as connection:
            seen_at = connection.execute(query).scalar_one()
    except sa.exc.SQLAlchemyError as err:
        # The database's own words may hold a password.
        return f"the bots' database can't be read ({type(err).__name__})"
    if seen_at is None:
        return "no bot of this machine has said that it is there"
    if now - seen_at > SILENT_SECONDS:
        return f"the bot has been silent for {now - seen_at:.0f} s"
    return None


def main() -> int:
    try:
        take_up_secret_files(os.environ)
        wrong = problem(os.environ, now=time.time())
    except PersonaeError as err:
        wrong = str(err)
    sys.stdout.write((wrong or "at work") + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
