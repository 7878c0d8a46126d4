"""Examples of guides are sent to a running gateway, and get what the guides say."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

import aiohttp

from tests.conftest import REPOSITORY, RunningGateway
from tests.docs.guides import LIVING, blocks, name

_HERE = re.compile(r"^(?:http://)?(?:localhost|127\.0\.0\.1):8420(/.*)$")


def _curls() -> Iterator[tuple[str, str, str | None]]:
    """(guide, path, body) of every call of a gateway on this machine."""
    for guide in LIVING:
        for block in blocks(guide):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip().removeprefix("$ ").startswith("curl "):
                    words = shlex.split(line.strip().removeprefix("$ "), comments=True)
                    paths = [found[1] for word in words if (found := _HERE.match(word))]
                    body = words[words.index("-d") + 1] if "-d" in words else None
                    if paths and "-H" not in words:
                        yield name(guide), paths[0], body


async def test_calls_with_curl_are_answered(gateway: RunningGateway):
    examples = list(_curls())
    assert len(examples) > 3
    async with aiohttp.ClientSession(gateway.url) as http:
        for guide, path, body in examples:
            method = "GET" if body is None else "POST"
            async with http.request(method, path, data=body) as reply:
                assert reply.status == 200, f"{guide}: {path} {body}: {await reply.text()}"


async def test_the_error_that_is_shown_is_the_error_that_comes(gateway: RunningGateway):
    """docs/api.md prints a reply to a misspelt name, status and all."""
    shown = next(
        block for block in blocks(REPOSITORY / "docs" / "api.md") if block.startswith("HTTP/1.1")
    )
    status, body = int(shown.split()[1]), json.loads(shown[shown.index("{") :])
    async with (
        aiohttp.ClientSession(gateway.url) as http,
        http.post("/v1/ask", json={"persona": "lincon", "question": "Why?"}) as reply,
    ):
        assert reply.status == status
        assert await reply.json() == body
        assert "X-Request-Id" in reply.headers
