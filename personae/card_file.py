"""Where a character card lies in a file: in a PNG's text chunks, in a JSON file, or in a zip as card.json
(CHARX).

In: bytes. Out: the card's JSON object, whatever its version. Nothing unpacks to more than `_MOST_BYTES`.
PNG chunks: https://www.w3.org/TR/png-3/#11textinfo (tEXt plain, zTXt compressed, iTXt with a language).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from personae.errors import UploadRefused
from personae.uploads import PIECEWISE

_MOST_BYTES = 16 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_KEYWORDS = ("ccv3", "chara")
"""The first of these that is there counts: a picture with both holds an older copy in `chara`."""
_CHARX_MEMBER = "card.json"


def read_card_file(data: bytes) -> dict[str, Any]:
    """The JSON object of a card.

    Raises:
        UploadRefused: says what the file is instead, or what is wrong with it.
    """
    if data.startswith(_PNG):
        card = _from_png(data)
    elif data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        card = _json(data)
    elif zipfile.is_zipfile(io.BytesIO(data)):  # also one with a picture before it
        card = _json(_from_charx(data))
    else:
        raise UploadRefused(
            "This is no character card: a card is a PNG picture, a JSON file or a CHARX file. If it is a "
            "WebP or JPEG picture, export the card again as PNG or JSON."
        )
    if not isinstance(card, dict):
        raise UploadRefused("This JSON file is no character card: it holds no object.")
    inner = fields_of(card)
    if str(card.get("spec", "")).startswith("lorebook") or (
        "entries" in card and "name" not in card
    ):
        raise UploadRefused(
            "This is a lorebook without a character. Import the character's card, or put the lorebook's "
            "text into the background of a persona."
        )
    name = inner.get("name")
    if not isinstance(name, str) or not name.strip():
        raise UploadRefused("This is no character card: it names no character (`name`).")
    return card


def fields_of(card: dict[str, Any]) -> dict[str, Any]:
    """Where a card's fields stand: below `data`, or at its top in version 1 and where `data` says nothing."""
    inner = card.get("data")
    return inner if isinstance(inner, dict) and inner.get("name") else card


def _from_png(data: bytes) -> Any:
    texts: dict[str, bytes] = {}
    for keyword, kind, rest in _texts(data):
        if keyword in _KEYWORDS and keyword not in texts:  # others are not even unpacked
            value = _value(kind, rest)
            if value is not None:
                texts[keyword] = value
    for keyword in _KEYWORDS:
        if keyword in texts:
            return _json(_unpacked(texts[keyword]))
    raise UploadRefused(
        "This picture holds no character card (no text `ccv3` or `chara`). Sites and messengers that make "
        "pictures smaller take it out: download the original file."
    )


def _texts(data: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """(keyword, kind, what follows) of each text chunk, in order; a damaged end is where it stops."""
    place = len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        place += 12 + length
        if len(body) < length or kind == b"IEND":
            return
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = body.partition(b"\0")
            yield keyword.decode("latin-1").lower(), kind, rest


def _value(kind: bytes, rest: bytes) -> bytes | None:
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:])
    compressed = rest[:1] == b"\1"
    value = rest[2:].split(b"\0", 2)[-1]
    return _inflated(value) if compressed else value


def _inflated(packed: bytes) -> bytes | None:
    unpacking = zlib.decompressobj()
    try:
        value = unpacking.decompress(packed, _MOST_BYTES)
    except zlib.error:
        return None
    if unpacking.unconsumed_tail:
        raise _too_large()
    return value


def _unpacked(value: bytes) -> bytes:
    """From base64, as the formats want it; some writers leave that out."""
    if value.lstrip().startswith(b"{"):
        return value
    packed = b"".join(value.split())
    with contextlib.suppress(binascii.Error):
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    raise UploadRefused(
        "The character card in this picture is damaged (no base64). Download it again."
    )


def _from_charx(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = archive.getinfo(_CHARX_MEMBER)
            if member.flag_bits & 0x1:
                raise UploadRefused("This CHARX file is encrypted. Export it without a password.")
            if member.compress_type not in PIECEWISE:
                raise UploadRefused("This CHARX file is packed in an unusual way. Export it again.")
            with archive.open(member) as file:
                card = file.read(_MOST_BYTES + 1)
    except KeyError as err:
        raise UploadRefused("This zip is no character card: it has no card.json.") from err
    except (zipfile.BadZipFile, NotImplementedError, OSError, zlib.error, EOFError) as err:
        raise UploadRefused(f"This CHARX file is damaged ({err}). Download it again.") from err
    if len(card) > _MOST_BYTES:
        raise _too_large()
    return card


def _json(data: bytes) -> Any:
    if len(data) > _MOST_BYTES:
        raise _too_large()
    try:
        text = data.decode("utf-8-sig")
        card = json.loads(text)
        if "\\ud" in text or "\\uD" in text:  # perhaps half a character, where somebody cut a text
            card = json.loads(json.dumps(card, ensure_ascii=False).encode("utf-8", "replace"))
        return card
    except (ValueError, RecursionError) as err:
        raise UploadRefused(
            f"The character card is damaged: its JSON can't be read ({err}). Download it again."
        ) from err


def _too_large() -> UploadRefused:
    return UploadRefused(
        f"The character card is larger than {_MOST_BYTES >> 20} MB of text, which no card is."
    )
