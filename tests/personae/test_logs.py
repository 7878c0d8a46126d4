"""Log lines: one form for people, one for machines, both with the request they belong to."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from personae.logs import LogFormat, current_request, log_to_file, request_id_from


@contextlib.contextmanager
def logging_to(path: Path, log_format: LogFormat) -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    log_to_file(path, log_format)
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)


def test_json_lines_carry_the_request_and_the_exception(tmp_path):
    path = tmp_path / "logs" / "gateway.log"
    log = logging.getLogger("serving.answers")
    with logging_to(path, "json"):
        log.info("started %s", "“here”")
        token = current_request.set("request-1")
        try:
            raise ValueError("oh")
        except ValueError:
            log.exception("failed")
        finally:
            current_request.reset(token)
    first, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert first["message"] == "started “here”" and first["request_id"] is None
    assert first["at"].endswith("Z") and first["level"] == "INFO"
    assert (second["request_id"], second["logger"]) == ("request-1", "serving.answers")
    assert "ValueError: oh" in second["exception"]


def test_text_lines_carry_the_request(tmp_path):
    path = tmp_path / "gateway.log"
    with logging_to(path, "text"):
        logging.getLogger("a").info("outside")
        token = current_request.set("request-1")
        logging.getLogger("a").info("inside")
        current_request.reset(token)
    outside, inside = path.read_text().splitlines()
    assert outside.endswith(" INFO a: outside")
    assert inside.endswith(" INFO a [request-1]: inside")


@pytest.mark.parametrize("header", ["6f1c9a00", "req_1.a:b-c2", "A" * 64])
def test_a_caller_s_plain_id_is_kept(header):
    assert request_id_from(header) == header


@pytest.mark.parametrize(
    "header", [None, "", "short", "A" * 65, "a b c d e f", "x\r\nSet-Cookie: y"]
)
def test_any_other_is_replaced(header):
    made = request_id_from(header)
    assert len(made) == 32 and made != header and made != request_id_from(header)


def test_a_platform_that_collects_logs_gets_each_line_once(tmp_path):
    """In a process of its own, because it takes the place of every other handler."""
    program = (
        "import logging; from personae.logs import log_to_stderr\n"
        "logging.basicConfig(level=logging.ERROR)\n"
        "log_to_stderr('json'); logging.getLogger('a').info('ready'); logging.error('bad')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("INFO", "ready"),
        ("ERROR", "bad"),
    ]
