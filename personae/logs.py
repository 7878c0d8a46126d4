"""Logs of a process: where they go, what a line looks like, and which request it belongs to.

Text for people, JSON for machines, one object a line:

    {"at":"2026-11-21T07:11:33.120Z","level":"INFO","logger":"serving.answers","request_id":"6f1c…",
     "message":"answer task=ask persona=lincoln version=v2 outcome=stop …"}

`current_request` is set once where a request comes in; every line logged inside the request carries
it, without anybody handing it on. What people wrote, and who they are, is in no line.
"""

from __future__ import annotations

import datetime
import json
import logging
import re
import uuid
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

LogFormat = Literal["text", "json"]

current_request: ContextVar[str] = ContextVar("current_request", default="")

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}")


def request_id_from(header: str | None) -> str:
    """The caller's id of a request if it is a plain token of 8 to 64 characters, or else a new one."""
    if header is not None and _SANE_ID.fullmatch(header):
        return header
    return uuid.uuid4().hex


def log_to_stderr(log_format: LogFormat = "text") -> None:
    """Log this process to standard error alone, for a platform that collects it."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    root = logging.getLogger()
    for console in list(root.handlers):
        root.removeHandler(console)
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def log_to_file(path: Path, log_format: LogFormat = "text") -> None:
    """Log this process to a file that is renewed when it grows large: ids, sizes and times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=5 << 20, backupCount=3, encoding="utf-8")
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    for console in root.handlers:
        console.setLevel(root.level)
    root.addHandler(handler)
    root.setLevel(logging.INFO)


class TextLines(logging.Formatter):
    """`2026-11-21 07:11:33,120 INFO serving.answers [6f1c…]: answer …`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        request = current_request.get()
        record.request = f" [{request}]" if request else ""
        return super().format(record)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": current_request.get() or None,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
