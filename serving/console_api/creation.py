"""New personas over HTTP: drafts, character cards, uploaded writing. All of it is behind the admin key.

    POST   /admin/personas/preview             PersonaDraft → DraftPreview; nothing is written
    POST   /admin/personas                     PersonaDraft → PersonaCreated (201)
    POST   /admin/personas/card                a file → CardDraft; nothing is written
    DELETE /admin/personas/{persona}           → PersonaRemoved
    PUT    /admin/personas/{persona}/writing   files (multipart) → Writing
    GET    /admin/personas/{persona}/writing   → Writing
    DELETE /admin/personas/{persona}/writing?name=essays/one.txt      → Writing
    POST   /admin/personas/{persona}/sources   one of `[[sources]]` → Writing

The models are `personae.creation_wire`'s. Uploads go to disk as they come, so they may be larger than other
requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web
from pydantic import BaseModel

from personae.character_card import read_card
from personae.config import Config
from personae.creation_wire import (
    CardDraft,
    DraftPreview,
    DraftProblem,
    PersonaCreated,
    PersonaRemoved,
    Refused,
    Writing,
    WritingFile,
)
from personae.errors import RequestError, TextTooLong, UploadRefused
from personae.files import disk_errors
from personae.own_cast import OwnCast
from personae.own_writing import OwnWriting, Uploaded
from personae.persona_draft import PersonaDraft, drafted, parse_draft, suggested_id
from serving.jobs.jobs import Jobs

_DRAFT_BYTES = 24 << 20
"""A draft may carry a card."""
_CARD_BYTES = 20 << 20
_UPLOAD_BYTES = 2 << 30
_UPLOAD_FILES = 20_000
_CHUNK_BYTES = 1 << 20
_SCRATCH = ".upload-"
_LEFT_OVER_SECONDS = 24 * 3600


class CreationApi:
    """
    Args:
        changed: looks at the folders of the cast now instead of within seconds.
    """

    def __init__(
        self, *, config: Config, jobs: Jobs, changed: Callable[[], Awaitable[object]]
    ) -> None:
        self._home = config.home
        self._own = OwnCast(config)
        self._writing = OwnWriting(self._own)
        self._jobs = jobs
        self._changed = changed

    def routes(self) -> list[web.RouteDef]:
        one = "/admin/personas/{persona}"
        return [
            web.post("/admin/personas/preview", self._preview),
            web.post("/admin/personas/card", self._card),
            web.post("/admin/personas", self._create),
            web.delete(one, self._remove),
            web.get(f"{one}/writing", self._show),
            web.put(f"{one}/writing", self._upload),
            web.delete(f"{one}/writing", self._drop),
            web.post(f"{one}/sources", self._add_source),
        ]

    async def _preview(self, request: web.Request) -> web.Response:
        draft = await _draft(request)
        if not draft.id.strip():
            draft = draft.model_copy(update={"id": suggested_id(draft.display_name)})
        made = await asyncio.to_thread(drafted, draft, from_afar=True)
        problems = [DraftProblem(field=field, message=said) for field, said in made.problems]
        preview = DraftPreview(
            problems=problems, warnings=made.warnings, id=draft.id, file=made.file, **made.texts
        )
        return _json(preview)

    async def _create(self, request: web.Request) -> web.Response:
        draft = await _draft(request)
        folder = await asyncio.to_thread(self._own.create, draft, from_afar=True)
        await self._changed()
        warnings = drafted(draft).warnings
        created = PersonaCreated(id=folder.name, folder=str(folder), warnings=warnings)
        return _json(created, status=201)

    async def _card(self, request: web.Request) -> web.Response:
        if request.content_type.startswith("multipart/"):
            with _broken_multipart():
                part = await (await request.multipart()).next()
                if not isinstance(part, BodyPartReader):
                    raise UploadRefused("No file came. Choose a card, and send it again.")
                data = await _limited(part.read_chunk, _CARD_BYTES)
        else:
            data = await _limited(request.content.read, _CARD_BYTES)
        card = await asyncio.to_thread(read_card, data)
        return _json(
            CardDraft(
                draft=card.draft,
                format=card.format,
                lorebook_entries=card.lorebook_entries,
                warnings=card.warnings,
            )
        )

    async def _remove(self, request: web.Request) -> web.Response:
        persona = request.match_info["persona"]
        await asyncio.to_thread(self._jobs.require_none, persona)
        kept = await asyncio.to_thread(self._own.remove, persona)
        await self._changed()
        return _json(PersonaRemoved(id=persona, kept_in=str(kept)))

    async def _show(self, request: web.Request) -> web.Response:
        return await self._writing_of(request.match_info["persona"], Uploaded())

    async def _upload(self, request: web.Request) -> web.Response:
        persona = request.match_info["persona"]
        await asyncio.to_thread(self._own.folder, persona)  # before anything is sent
        if not request.content_type.startswith("multipart/"):
            raise RequestError("Send the files as multipart/form-data.")
        await asyncio.to_thread(_remove_leftovers, self._home)
        user = request.query.get("user", "")
        with disk_errors(self._home, f"taking files for {persona}"):
            scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, None, _SCRATCH, self._home))
            try:
                with _broken_multipart():
                    files = await _received(request, scratch)
                outcome = await asyncio.to_thread(self._writing.take, persona, files, user=user)
            finally:
                await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        await self._changed()
        return await self._writing_of(persona, outcome)

    async def _drop(self, request: web.Request) -> web.Response:
        persona = request.match_info["persona"]
        await asyncio.to_thread(self._writing.drop, persona, request.query.get("name", ""))
        await self._changed()
        return await self._writing_of(persona, Uploaded())

    async def _add_source(self, request: web.Request) -> web.Response:
        persona = request.match_info["persona"]
        source = _object(await request.read())
        await asyncio.to_thread(self._writing.add_source, persona, source)
        await self._changed()
        return await self._writing_of(persona, Uploaded())

    async def _writing_of(self, persona: str, outcome: Uploaded) -> web.Response:
        files = await asyncio.to_thread(self._writing.files, persona)
        sources = await asyncio.to_thread(self._writing.sources, persona)
        return _json(
            Writing(
                persona=persona,
                files=[WritingFile(name=name, bytes=size) for name, size in files],
                bytes=sum(size for _name, size in files),
                sources=sources,
                taken=outcome.taken,
                refused=[Refused(name=name, reason=why) for name, why in outcome.refused],
                notes=outcome.notes,
            )
        )


@contextlib.contextmanager
def _broken_multipart() -> Iterator[None]:
    try:
        yield
    except ValueError as err:
        raise RequestError("The upload arrived damaged. Send it again.") from err


async def _draft(request: web.Request) -> PersonaDraft:
    return parse_draft(_object(await _limited(request.content.read, _DRAFT_BYTES)))


def _object(body: bytes) -> Any:
    try:
        data = json.loads(body)
    except ValueError as err:
        raise RequestError(f"The request is no JSON ({err}).") from err
    if not isinstance(data, dict):
        raise RequestError("The request must be one JSON object.")
    return data


async def _limited(read: Callable[[int], Awaitable[bytes]], most_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while chunk := await read(_CHUNK_BYTES):
        size += len(chunk)
        if size > most_bytes:
            raise TextTooLong(f"That is more than the {most_bytes >> 20} MB taken here.")
        pieces.append(bytes(chunk))
    return b"".join(pieces)


async def _received(request: web.Request, scratch: Path) -> list[tuple[str, Path]]:
    """(name, file) of each uploaded file, in order. Fields without a file name are passed over."""
    files: list[tuple[str, Path]] = []
    left = _UPLOAD_BYTES
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.filename:
            continue
        if len(files) >= _UPLOAD_FILES:
            raise UploadRefused(f"More than {_UPLOAD_FILES:,} files at once. Send them as a zip.")
        path = scratch / str(len(files))
        with path.open("wb") as file:
            while chunk := await part.read_chunk(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise TextTooLong(
                        f"More than {_UPLOAD_BYTES >> 30} GB at once. Send it in parts."
                    )
                await asyncio.to_thread(file.write, bytes(chunk))
        files.append((part.filename, path))
    if not files:
        raise UploadRefused("No file came with the request. Choose files, and send them again.")
    return files


def _remove_leftovers(home: Path) -> None:
    """What a killed process left of uploads."""
    for path in home.glob(f"{_SCRATCH}*"):
        if time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _json(model: BaseModel, *, status: int = 200) -> web.Response:
    return web.json_response(text=model.model_dump_json(), status=status)
