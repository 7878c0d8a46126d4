"""Signing in to the console, over the real app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from personae.console_wire import CONSOLE_HEADER, SESSION_COOKIE
from serving.console_api.sessions import MOST_WRONG, SESSION_SECONDS, Sessions
from tests.conftest import ADMIN_KEY, RunningGateway, gateway_over

CONSOLE = {CONSOLE_HEADER: "1"}


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # or it takes no cookie of an IP address
    async with aiohttp.ClientSession(gateway.url, cookie_jar=jar) as session:
        yield session


async def sign_in(http: aiohttp.ClientSession, key: str = ADMIN_KEY) -> aiohttp.ClientResponse:
    return await http.post("/console/session", json={"key": key})


async def reload(http: aiohttp.ClientSession, headers: dict[str, str]) -> int:
    async with http.post("/admin/adapters/lincoln/reload", json={}, headers=headers) as response:
        return response.status


async def test_the_admin_key_gives_a_session_that_may_read_and_change(http, gateway):
    """With the cookie, the admin's routes open; after signing out they are closed again."""
    async with http.get("/console/session") as response:
        before = await response.json()
    assert before == {"signed_in": False, "admin_key_set": True, "api_key_needed": False}
    assert (await sign_in(http, "wrong")).status == 401
    assert (await sign_in(http)).status == 204
    async with http.get("/console/session") as response:
        assert (await response.json())["signed_in"]
    async with http.get("/admin/adapters") as response:
        assert response.status == 200
    assert await reload(http, CONSOLE | {"Origin": gateway.url}) == 200
    async with http.delete("/console/session") as response:
        assert response.status == 204
    async with http.get("/admin/adapters") as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (CONSOLE, 401),
        (CONSOLE | {"Origin": "https://elsewhere.example"}, 401),
        (CONSOLE | {"Origin": "null"}, 401),
        (CONSOLE | {"Sec-Fetch-Site": "cross-site"}, 401),
        (CONSOLE | {"Sec-Fetch-Site": "same-site"}, 401),
        ({"Sec-Fetch-Site": "same-origin"}, 401),
        (CONSOLE | {"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_another_site_changes_nothing_with_a_session(http, headers, status):
    """A browser sends the cookie by itself; what changes something has to come from the console."""
    await sign_in(http)
    assert await reload(http, headers) == status


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(http):
    response = await sign_in(http)
    cookie = SimpleCookie(response.headers["Set-Cookie"])[SESSION_COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["max-age"] == str(SESSION_SECONDS)
    assert not cookie["secure"]
    assert ADMIN_KEY not in response.headers["Set-Cookie"]
    forwarded = {"X-Forwarded-Proto": "https"}
    async with http.post("/console/session", json={"key": ADMIN_KEY}, headers=forwarded) as secure:
        assert SimpleCookie(secure.headers["Set-Cookie"])[SESSION_COOKIE]["secure"]


async def test_after_ten_wrong_keys_even_the_right_one_has_to_wait(http):
    for _ in range(MOST_WRONG):
        assert (await sign_in(http, "guess")).status == 401
    response = await sign_in(http)
    assert response.status == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60


async def test_with_an_api_key_a_session_stands_for_it(engine, cast, tmp_path):
    """Reading and asking are closed to strangers, and open to somebody who signed in."""
    jar = aiohttp.CookieJar(unsafe=True)
    settings = {"environment": {"PERSONAE_API_KEY": "api"}}
    async with (
        gateway_over(engine, cast, tmp_path, **settings) as gateway,
        aiohttp.ClientSession(gateway.url, cookie_jar=jar) as http,
    ):
        question = {"persona": "lincoln", "question": "Why?", "stream": False}
        async with http.post("/v1/ask", json=question) as response:
            assert response.status == 401
        async with http.get("/console/session") as response:
            assert (await response.json())["api_key_needed"]
        await sign_in(http)
        origin = CONSOLE | {"Origin": gateway.url}
        async with http.post("/v1/ask", json=question, headers=origin) as response:
            assert response.status == 200


class _Now:
    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_token_ends_by_its_time_by_another_key_and_by_any_change():
    now = _Now()
    first = Sessions(admin_key=SecretStr("a"), api_key=None, clock=now)
    replica = Sessions(admin_key=SecretStr("a"), api_key=None, clock=now)
    other = Sessions(admin_key=SecretStr("b"), api_key=None, clock=now)
    token = first._token(int(now.seconds) + 60)
    assert first._is_valid(token)
    assert replica._is_valid(token)
    assert not other._is_valid(token)
    later = token.replace("1700000060", "1700009999")
    assert later != token
    for broken in (later, token[:-1], "", ".", "1.", "é.x", f"{'9' * 40}.x"):
        assert not first._is_valid(broken)
    now.seconds += 60
    assert not first._is_valid(token)


def test_wrong_keys_are_remembered_of_a_bounded_number_of_addresses():
    sessions = Sessions(admin_key=SecretStr("a"), api_key=None)
    for number in range(2000):
        sessions._note_wrong(f"10.0.{number}")
    assert len(sessions._wrong) == 1000


async def test_without_an_admin_key_nobody_signs_in(engine, cast, tmp_path: Path):
    settings = {"environment": {"PERSONAE_ADMIN_KEY": ""}}
    async with (
        gateway_over(engine, cast, tmp_path, **settings) as gateway,
        aiohttp.ClientSession(gateway.url) as http,
    ):
        async with http.get("/console/session") as response:
            assert not (await response.json())["admin_key_set"]
        async with http.post("/console/session", json={"key": ""}) as response:
            assert response.status == 401
            assert "PERSONAE_ADMIN_KEY" in (await response.json())["error"]["message"]
