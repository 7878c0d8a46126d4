"""The body of a request to Discord: JSON, or JSON with files."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.fakes.discord_refusal import Refusal, invalid

_MOST_BYTES = 10 << 20
_FILE = re.compile(r"files\[(\d+)\]")

Reply = tuple[int, Any]


@dataclass
class Form:
    body: Any = None
    files: dict[str, bytes] = field(default_factory=dict)
    """By name, in the order of `attachments`."""

    @classmethod
    async def of(cls, request: web.Request) -> Self:
        """Read it as Discord does.

        Raises:
            Refusal: no JSON, files that are too large or that the JSON does not speak of.
        """
        if not request.content_type.startswith("multipart/"):
            if not request.can_read_body:
                return cls()
            try:
                return cls(await request.json())
            except ValueError:
                raise Refusal(400, 50109, "The request body contains invalid JSON.") from None
        sent = await request.post()
        form = cls(json.loads(str(sent["payload_json"])))
        data = form.body.get("data") or form.body
        told = {str(entry.get("id")): entry for entry in data.get("attachments") or []}
        for name, part in sent.items():
            number = _FILE.fullmatch(name)
            if number is None:
                continue
            if number[1] not in told or not isinstance(part, web.FileField):
                raise invalid("attachments", f"{name} is not among them.")
            form.files[told[number[1]]["filename"]] = part.file.read()
        if len(form.files) > 10:
            raise invalid("attachments", "Must be 10 or fewer in length.")
        if sum(map(len, form.files.values())) > _MOST_BYTES:
            raise Refusal(413, 40005, "Request entity too large")
        return form

    @property
    def json(self) -> dict[str, Any]:
        """The body of a route that takes an object."""
        if not isinstance(self.body, dict):
            raise Refusal(400, 50109, "The request body must be an object.")
        return self.body


Handler = Callable[[web.Request, Form], Awaitable[Reply]]
