"""Growing answers leave room for their last edit."""

from __future__ import annotations

from bot.on_discord.pace import Pace, edit_seconds

PATH = "/api/v10/channels/300/messages/42"


def headers(left: int, seconds: float) -> dict[str, str]:
    return {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset-After": str(seconds)}


def test_the_last_edit_of_a_window_is_kept_back() -> None:
    now = [100.0]
    pace = Pace(clock=lambda: now[0])
    assert pace.has_room("channels/300"), "nothing is known yet"
    pace.note("PATCH", PATH, headers(2, 5))
    assert pace.has_room("channels/300")
    pace.note("PATCH", PATH, headers(1, 5))
    assert not pace.has_room("channels/300")
    assert pace.has_room("channels/301")
    now[0] += 5.1
    assert pace.has_room("channels/300")


def test_other_requests_and_broken_headers_say_nothing() -> None:
    pace = Pace()
    pace.note("POST", PATH, headers(0, 5))
    pace.note("PATCH", PATH, {"X-RateLimit-Remaining": "none"})
    pace.note("PATCH", "/api/v10/users/@me", headers(0, 5))
    assert pace.has_room("channels/300")


def test_tokens_of_interactions_are_told_apart() -> None:
    pace = Pace()
    pace.note("PATCH", "/api/v10/webhooks/1/tok-en_A/messages/@original", headers(0, 60))
    assert not pace.has_room("webhooks/1/tok-en_A")
    assert pace.has_room("webhooks/1/tok-en_B")


def test_memory_of_windows_that_are_over_is_given_back() -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    for number in range(12_000):
        now[0] += 0.01
        pace.note("PATCH", f"/channels/{number}/messages/1", headers(1, 5))
    assert len(pace._left) <= 5001


def test_many_answers_at_once_slow_each_other_down() -> None:
    running = [1]
    seconds = edit_seconds(1.2, lambda: running[0])
    assert seconds() == 1.2
    running[0] = 200
    assert seconds() > 6
