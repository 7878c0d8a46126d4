"""Character cards as front ends write them: a picture with its text, a zip, plain JSON."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from typing import Any

_PNG = b"\x89PNG\r\n\x1a\n"


def card(**changes: Any) -> dict[str, Any]:
    """A whole version 2 card, also with what its readers don't know."""
    data = {
        "name": "Haru",
        "description": "{{char}} is a {{random:quiet,loud}} botanist. {{// who}}<BOT> likes {{user}}.",
        "personality": "dry",
        "scenario": "A greenhouse at night.",
        "first_mes": "*waters a fern* Hello, {{user}}. What shall we plant today?",
        "mes_example": "<START>\n{{user}}: hi\n{{char}}: Ferns like shade,\nas do I, {{user}}.\n"
        "<START>\n{{user}}: why?\nHaru: Because the sun has opinions, and so do ferns.\n",
        "creator_notes": "Use with care.",
        "system_prompt": "",
        "post_history_instructions": "",
        "alternate_greetings": ["Oh. You again."],
        "character_book": {
            "name": "The greenhouse",
            "extensions": {},
            "entries": [
                _entry(["glass", "house"], "@@depth 4\nThe greenhouse was built in 1902.", 3),
                _entry(["rule"], "{{char}} never picks flowers.", 1, constant=True),
                _entry(["old"], "No longer so.", 2, enabled=False),
            ],
        },
        "tags": ["plants"],
        "creator": "mari",
        "character_version": "1.1",
        "extensions": {"front/end": {"depth": [1, 2]}},
        **changes,
    }
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": data, "odd": {"kept": True}}


def _entry(
    keys: list[str], content: str, order: int, *, enabled: bool = True, constant: bool = False
) -> dict[str, Any]:
    return {
        "keys": keys,
        "content": content,
        "extensions": {},
        "enabled": enabled,
        "insertion_order": order,
        "constant": constant,
    }


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed(its: dict[str, Any]) -> bytes:
    return base64.b64encode(json.dumps(its).encode())


def text_chunk(keyword: bytes, value: bytes, how: str = "tEXt") -> bytes:
    match how:
        case "tEXt":
            return chunk(b"tEXt", keyword + b"\0" + value)
        case "zTXt":
            return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(value))
        case "iTXt":
            return chunk(b"iTXt", keyword + b"\0\0\0en\0\0" + value)
        case "iTXt packed":
            return chunk(b"iTXt", keyword + b"\0\1\0\0\0" + zlib.compress(value))
    raise ValueError(how)


def png(*texts: bytes) -> bytes:
    """A picture of one pixel with further chunks."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"".join(
        [_PNG, head, *texts, chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND", b"")]
    )


def charx(
    its: dict[str, Any],
    *,
    before: bytes = b"",
    name: str = "card.json",
    packing: int = zipfile.ZIP_STORED,
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        archive.writestr(name, json.dumps(its))
        archive.writestr("assets/icon/images/main.png", png())
    return before + file.getvalue()
