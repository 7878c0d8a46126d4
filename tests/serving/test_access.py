"""What a browser says of where a request comes from: other sites can't use a visitor's gateway."""

from __future__ import annotations

import aiohttp
import pytest

from tests.conftest import RunningGateway, gateway_over

FORGET = {"user": "somebody"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.org"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(gateway: RunningGateway, headers):
    """Also where no key is needed: neither questions nor feedback; with a key it is somebody's own doing."""
    async with aiohttp.ClientSession(gateway.url) as http:
        for path, body in (
            ("/v1/feedback/forget", FORGET),
            ("/v1/ask", {"persona": "lincoln", "question": "What of the Union?", "stream": False}),
        ):
            async with http.post(path, json=body, headers=headers) as reply:
                assert reply.status == 401, path
                error = (await reply.json())["error"]
            assert error["code"] == "unauthorized"
            assert "another site" in error["message"]
        key = {"Authorization": f"Bearer {gateway.admin_key}"}
        async with http.post("/v1/feedback/forget", json=FORGET, headers=headers | key) as reply:
            assert reply.status == 200
        async with http.get("/v1/personas", headers=headers) as reply:
            assert reply.status == 200
    assert all("What of the Union?" not in str(sent) for sent in gateway.engine.requests)


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
)
async def test_programs_and_our_own_page_are_let_in(gateway: RunningGateway, headers):
    async with aiohttp.ClientSession(gateway.url) as http:
        async with http.post("/v1/feedback/forget", json=FORGET, headers=headers) as reply:
            assert reply.status == 200
        origin = {"Origin": gateway.url.rstrip("/")}
        async with http.post("/v1/feedback/forget", json=FORGET, headers=origin) as reply:
            assert reply.status == 200


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("rebound.example.org", False),
        ("rebound.example.org:8420", False),
        ("127.0.0.1.nip.io", False),
        ("notlocal", True),
        ("gateway:8420", True),
        ("personae.chat.svc.cluster.local:8420", True),
        ("Box.LOCAL.", True),
        ("[::1]:8420", True),
        ("10.0.0.7", True),
        ("xlocal.evil.example", False),
        ("evil.notlocal", False),
    ],
)
async def test_a_name_that_somebody_may_have_given_our_address_is_not_answered(
    gateway: RunningGateway, host, answered
):
    """The browser takes such a page and us for one site, so nothing else tells it apart."""
    async with aiohttp.ClientSession(gateway.url) as http:
        ours = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        question = {"persona": "lincoln", "question": "Why?", "stream": False}
        for ask in (
            http.get("/v1/personas", headers=ours),
            http.get("/console/api/traffic", headers=ours),
            http.post("/v1/ask", json=question, headers=ours),
        ):
            async with ask as reply:
                assert reply.status == (200 if answered else 401)
                if not answered:
                    assert "[gateway] hosts" in (await reply.json())["error"]["message"]
        async with http.get("/healthz", headers=ours) as reply:
            assert reply.status == 200
        key = {"Authorization": f"Bearer {gateway.admin_key}"}
        async with http.get("/v1/personas", headers=ours | key) as reply:
            assert reply.status == 200


async def test_a_listed_public_name_is_answered(tmp_path, cast, engine):
    listed = 'hosts = ["Bot.example.org"]'
    async with (
        gateway_over(engine, cast, tmp_path, gateway=listed) as gateway,
        aiohttp.ClientSession(gateway.url) as http,
    ):
        for host, status in (("bot.example.org:443", 200), ("bot.example.com", 401)):
            async with http.get("/v1/personas", headers={"Host": host}) as reply:
                assert reply.status == status


async def test_a_wrong_key_is_told_the_same_on_every_admin_route(gateway: RunningGateway):
    """It speaks of the key, not of adapters."""
    async with aiohttp.ClientSession(gateway.url) as http:
        for path in ("/admin/adapters", "/admin/feedback/lincoln", "/admin/unanswered/lincoln"):
            async with http.get(path, headers={"Authorization": "Bearer wrong"}) as reply:
                assert reply.status == 401
                message = (await reply.json())["error"]["message"]
            assert message.startswith("This needs the admin key")
