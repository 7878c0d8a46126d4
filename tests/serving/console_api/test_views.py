"""Personas as the console shows them, over the real app."""

from __future__ import annotations

import json

from personae.console_wire import PersonaDetail, PersonaViews
from personae.files import sha256_of
from personae.manifest import MANIFEST, content_sha256
from tests.conftest import RunningGateway
from tests.serving.console_api.conftest import Browser


async def test_the_list_shows_versions_corpus_index_and_rights(browser: Browser):
    listed = PersonaViews.model_validate(await browser.get("/console/api/personas"))
    assert [view.id for view in listed.personas] == ["lincoln", "pg", "roosevelt", "wbw"]
    assert listed.problems == []
    lincoln, pg = listed.personas[:2]
    assert (lincoln.live, lincoln.adapter_version, lincoln.previous) == ("v1", "v1", None)
    assert [(v.version, v.state) for v in lincoln.versions] == [("v2", "available"), ("v1", "live")]
    assert lincoln.corpus is not None
    assert (lincoln.corpus.documents, lincoln.corpus.words > 0) == (2, True)
    assert lincoln.index is not None
    assert lincoln.index.passages == lincoln.passages == 2
    assert lincoln.rights is not None
    assert not lincoln.own
    assert (pg.live, pg.versions, pg.corpus, pg.index) == (None, [], None, None)
    assert "prompt only" in (pg.notice or "")


async def test_one_persona_shows_its_prompts_sources_and_history(browser: Browser):
    """Who changed what, and why, is told only to somebody who signed in."""
    await browser.sign_in()
    change = {"actor": "Zoë", "surface": "console", "reason": "louder"}
    await browser.post("/admin/adapters/lincoln/reload", change)
    shown = PersonaDetail.model_validate(await browser.get("/console/api/personas/lincoln"))
    persona = browser.gateway.cast["lincoln"]
    assert shown.prompts.ask == persona.ask.system
    assert shown.sampling.ask["max_tokens"] == persona.ask.sampling.max_tokens
    assert shown.sources[0]["kind"] == "sotu"
    assert (shown.live, shown.previous) == ("v2", "v1")
    newest = shown.history[0]
    assert (newest.action, newest.actor, newest.reason) == ("reload", "Zoë", "louder")
    assert shown.sources[0]["president"] == "Abraham Lincoln"
    browser.http.cookie_jar.clear()
    stranger = await browser.get("/console/api/personas/lincoln")
    assert stranger["history"][0]["action"] == "reload"
    assert stranger["sources"] == [{"kind": "sotu"}]
    assert "Zoë" not in json.dumps(stranger, ensure_ascii=False)
    assert "louder" not in json.dumps(stranger)
    error = (await browser.get("/console/api/personas/lincon", status=404))["error"]
    assert error["code"] == "unknown_persona"


async def test_a_damaged_version_is_told_and_a_mended_one_too(browser: Browser):
    """What was verified is not verified again, until a file of it changes."""
    folder = browser.gateway.registry.find("lincoln", 2).folder
    weights = folder / "adapter_model.safetensors"
    sound = weights.read_bytes()

    async def state() -> tuple[str, bool]:
        version = (await browser.get("/console/api/personas/lincoln"))["versions"][0]
        return version["state"], version["problem"] is None

    assert await state() == ("available", True)
    weights.write_bytes(sound[:-1] + b"?")
    assert await state() == ("unusable", False)
    weights.write_bytes(sound)
    assert await state() == ("available", True)


def with_report(gateway: RunningGateway, html: str) -> None:
    """Lincoln's v2 with a report and measured figures, as publishing leaves them."""
    found = gateway.registry.find("lincoln", 2)
    manifest = json.loads((found.folder / MANIFEST).read_text())
    (found.folder / "report.html").write_text(html)
    manifest["files"]["report.html"] = sha256_of(found.folder / "report.html")
    manifest["metrics"] = {"identity": 0.9, "identity_low": 0.8, "identity_high": 1.0, "steps": 4}
    (found.folder / MANIFEST).write_text(json.dumps(manifest))
    found.folder.rename(found.folder.with_name(f"v2-{content_sha256(manifest['files'])[:8]}"))


async def test_a_report_is_shown_in_a_sandbox(browser: Browser):
    """It came with the version, perhaps from somebody else: no scripts, no network, no other site's frame."""
    with_report(browser.gateway, "<h1>Measured</h1><script>alert(1)</script>")
    versions = (await browser.get("/console/api/personas/lincoln"))["versions"]
    assert [version["report"] for version in versions] == [True, False]
    assert versions[0]["metrics"] == {
        "identity": {"value": 0.9, "low": 0.8, "high": 1.0},
        "steps": {"value": 4.0, "low": None, "high": None},
    }
    path = "/console/api/personas/lincoln/versions"
    async with browser.http.get(f"{path}/v2/report") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none';")
        assert "script-src" not in policy
        assert (await response.text()).startswith("<h1>")
    assert (await browser.get(f"{path}/v1/report", status=404))["error"]["code"] == "not_found"
    assert (await browser.get(f"{path}/v9/report", status=404))["error"]["code"] == (
        "unknown_version"
    )
