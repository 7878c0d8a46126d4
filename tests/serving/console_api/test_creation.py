"""A persona is made, fed and put away over HTTP, by somebody who is signed in and by nobody else."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any

import aiohttp
import pytest

from tests.fakes.character_cards import card, packed, png, text_chunk
from tests.serving.console_api.conftest import CONSOLE, Browser

ADA = {"id": "ada", "display_name": "Ada Lovelace", "about": "Plain and dry."}
_PATIENCE_SECONDS = 100


async def sent(
    browser: Browser, method: str, path: str, status: int, *, console: bool = True, **body: Any
) -> Any:
    headers = CONSOLE | {"Origin": browser.gateway.url} if console else {}
    async with browser.http.request(method, path, headers=headers, **body) as response:
        assert response.status == status, await response.text()
        return await response.json()


def form(**named: bytes) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)  # as browsers write names
    for name, content in named.items():
        data.add_field("file", content, filename=name)
    return data


@pytest.fixture
async def signed_in(browser: Browser) -> Browser:
    await browser.sign_in()
    return browser


async def personas(browser: Browser) -> list[str]:
    return [card["id"] for card in (await browser.get("/v1/personas"))["personas"]]


async def until(true) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not await true():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/admin/personas"),
        ("POST", "/admin/personas/preview"),
        ("POST", "/admin/personas/card"),
        ("PUT", "/admin/personas/lincoln/writing"),
        ("GET", "/admin/personas/lincoln/writing"),
        ("DELETE", "/admin/personas/lincoln/writing?name=x"),
        ("POST", "/admin/personas/lincoln/sources"),
        ("DELETE", "/admin/personas/lincoln"),
        ("POST", "/admin/personas/lincoln/jobs"),
        ("GET", "/admin/jobs/x/log"),
        ("DELETE", "/admin/jobs/x"),
    ],
)
async def test_nobody_makes_anything_without_the_key_nor_another_site_with_the_cookie(
    browser, method, path
):
    await sent(browser, method, path, 401)
    await browser.sign_in()
    if method != "GET":
        await sent(browser, method, path, 401, console=False)


async def test_a_persona_is_looked_at_made_and_answers_by_prompt_at_once(signed_in):
    preview = await sent(signed_in, "POST", "/admin/personas/preview", 200, json={**ADA, "id": ""})
    assert preview["id"] == "ada-lovelace" and preview["problems"] == []
    assert preview["disclosure"] == "An imitation of Ada Lovelace, not the person."
    assert 'id = "ada-lovelace"' in preview["file"]
    assert "ada" not in await personas(signed_in)

    made = await sent(signed_in, "POST", "/admin/personas", 201, json=ADA)
    assert made["id"] == "ada" and made["warnings"]
    assert "ada" in await personas(signed_in)  # without a wait
    question = {"persona": "ada", "question": "What of engines?", "stream": False}
    answer = await signed_in.post("/v1/ask", question)
    assert answer["meta"]["adapter_version"] is None and answer["text"]
    prompt = signed_in.gateway.engine.requests[-1]["messages"][0]["content"]
    assert prompt.startswith("You are an imitation of Ada Lovelace.") and "Plain and dry." in prompt
    taken = await sent(signed_in, "POST", "/admin/personas", 409, json=ADA)
    assert taken["error"]["code"] == "persona_taken"


async def test_problems_are_told_with_their_fields_and_a_preview_tells_them_too(signed_in):
    bad = {"id": "A", "disclosure": "me", "sources": [{"kind": "folder", "path": "/etc"}]}
    error = (await sent(signed_in, "POST", "/admin/personas", 422, json=bad))["error"]
    fields = {problem["field"] for problem in error["problems"]}
    assert error["code"] == "draft_invalid"
    assert fields == {"id", "display_name", "disclosure", "sources.0.path"}
    preview = await sent(signed_in, "POST", "/admin/personas/preview", 200, json=bad)
    assert {problem["field"] for problem in preview["problems"]} == fields
    await sent(signed_in, "POST", "/admin/personas", 400, data=b"no json")
    await sent(signed_in, "POST", "/admin/personas", 400, data=b"[]")


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_card_becomes_a_draft_and_comes_back_whole(signed_in, wrapped):
    picture = png(text_chunk(b"chara", packed(card())))
    body = form(**{"haru.png": picture}) if wrapped else picture
    read = await sent(signed_in, "POST", "/admin/personas/card", 200, data=body)
    assert (read["format"], read["lorebook_entries"]) == ("v2", 2)
    made = await sent(signed_in, "POST", "/admin/personas", 201, json=read["draft"])
    folder = signed_in.gateway.config.own_cast / "haru"
    assert made["id"] == "haru" and json.loads((folder / "card.json").read_text()) == card()
    assert "1902" in (folder / "writing" / "background.md").read_text()
    refused = await sent(signed_in, "POST", "/admin/personas/card", 422, data=b"GIF89a")
    assert refused["error"]["code"] == "upload_refused"


async def test_a_request_may_be_as_large_as_a_card_and_no_larger(signed_in):
    much = {**card(), "more": "x" * (2 << 20)}  # past the limit of other requests
    read = await sent(
        signed_in, "POST", "/admin/personas/card", 200, data=io.BytesIO(json.dumps(much).encode())
    )
    draft = io.BytesIO(json.dumps(read["draft"]).encode())
    await sent(signed_in, "POST", "/admin/personas", 201, data=draft)
    error = await sent(
        signed_in, "POST", "/admin/personas/card", 413, data=io.BytesIO(b"x" * (21 << 20))
    )
    assert error["error"]["code"] == "text_too_long"


async def test_writing_is_uploaded_listed_and_deleted(signed_in):
    await sent(signed_in, "POST", "/admin/personas", 201, json=ADA)
    path = "/admin/personas/ada/writing"
    body = form(**{"essays/tea.txt": b"Tea.", "a.pdf": b"%PDF", "../../x.txt": b"x"})
    told = await sent(signed_in, "PUT", path, 200, data=body)
    assert told["taken"] == ["essays/tea.txt"] and told["bytes"] == 4
    assert [refused["name"] for refused in told["refused"]] == ["a.pdf", "../../x.txt"]
    assert told["sources"] == [{"kind": "folder", "path": "writing"}]
    assert (await sent(signed_in, "GET", path, 200))["files"] == [
        {"name": "essays/tea.txt", "bytes": 4}
    ]
    site = {"kind": "site", "url": "https://example.org/"}
    told = await sent(signed_in, "POST", "/admin/personas/ada/sources", 200, json=site)
    assert [source["kind"] for source in told["sources"]] == ["folder", "site"]
    told = await sent(signed_in, "DELETE", f"{path}?name=essays/tea.txt", 200)
    assert told["files"] == [] and [its["kind"] for its in told["sources"]] == ["site"]
    nothing = aiohttp.FormData(default_to_multipart=True)
    nothing.add_field("note", "no file")
    await sent(signed_in, "PUT", path, 422, data=nothing)
    await sent(signed_in, "PUT", path, 400, data=b"x")
    home = signed_in.gateway.config.home
    assert not [path.name for path in home.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("boundary", ["", "; boundary=b"])
async def test_a_broken_upload_is_refused_with_a_sentence(signed_in, boundary):
    await sent(signed_in, "POST", "/admin/personas", 201, json=ADA)
    headers = CONSOLE | {
        "Origin": signed_in.gateway.url,
        "Content-Type": f"multipart/form-data{boundary}",
    }
    for method, path in (("PUT", "/admin/personas/ada/writing"), ("POST", "/admin/personas/card")):
        async with signed_in.http.request(method, path, headers=headers, data=b"x") as response:
            assert response.status in (400, 422), await response.text()


async def test_personas_of_a_folder_of_somebody_elses_stay_as_they_are(signed_in):
    for method, path in (("GET", "/writing"), ("PUT", "/writing"), ("DELETE", "")):
        told = await sent(signed_in, method, f"/admin/personas/lincoln{path}", 409)
        assert told["error"]["code"] == "persona_fixed"
        told = await sent(signed_in, method, f"/admin/personas/nobody{path}", 404)
        assert told["error"]["code"] == "unknown_persona"


async def test_its_writing_is_read_by_a_job_and_the_persona_put_away(signed_in):
    await sent(signed_in, "POST", "/admin/personas", 201, json=ADA)
    text = b"Tea is a plant of hills, and of patience. " * 40
    await sent(signed_in, "PUT", "/admin/personas/ada/writing", 200, data=form(**{"t.txt": text}))
    await sent(signed_in, "POST", "/admin/personas/nobody/jobs", 404, json={"kind": "ingest"})
    job = await sent(signed_in, "POST", "/admin/personas/ada/jobs", 202, json={"kind": "ingest"})
    assert job["state"] == "running"
    refused = await sent(
        signed_in, "POST", "/admin/personas/ada/jobs", 409, json={"kind": "ingest"}
    )
    assert refused["error"]["code"] == "job_refused"
    assert (await sent(signed_in, "DELETE", "/admin/personas/ada", 409))["error"]["code"] == (
        "job_refused"
    )

    async def is_done() -> bool:
        return (await signed_in.get(f"/console/api/jobs/{job['id']}"))["ended_at"] is not None

    await until(is_done)
    log = await signed_in.get(f"/admin/jobs/{job['id']}/log?after=0")
    for after in ("-1", "x", "9" * 20, "9" * 5000):
        await sent(signed_in, "GET", f"/admin/jobs/{job['id']}/log?after={after}", 400)
    assert log["job"]["state"] == "done", log["text"]
    listed = await signed_in.get("/console/api/jobs?persona=ada")
    assert [its["id"] for its in listed["jobs"]] == [job["id"]]
    assert listed["jobs"][0]["last_line"]
    # What a job says may name the server's folders: who is not signed in hears how it stands, and no words.
    async with aiohttp.ClientSession(signed_in.gateway.url) as stranger:
        for path in ("/console/api/jobs", f"/console/api/jobs/{job['id']}"):
            told = await (await stranger.get(path)).json()
            told = told["jobs"][0] if "jobs" in told else told
            assert (told["state"], told["last_line"], told["message"]) == ("done", "", None)
        views = (await (await stranger.get("/console/api/personas")).json())["personas"]
    seen = next(view["jobs"] for view in views if view["id"] == "ada")
    assert [(its["id"], its["last_line"]) for its in seen] == [(job["id"], "")]
    assert (signed_in.gateway.config.corpora / "ada" / "manifest.json").is_file()

    gone = await sent(signed_in, "DELETE", "/admin/personas/ada", 200)
    assert gone["id"] == "ada" and "ada" not in await personas(signed_in)
    assert not (signed_in.gateway.config.corpora / "ada").exists()
