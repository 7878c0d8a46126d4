"""Settings are JSON values by server, channel and name."""

from __future__ import annotations

import pytest


async def test_a_setting_is_set_changed_and_removed(state):
    assert await state.setting("discord", "S", "", "persona") is None
    assert await state.setting("discord", "S", "", "persona", "pg") == "pg"
    await state.set_setting("discord", "S", "", "persona", "lincoln")
    await state.set_setting("discord", "S", "C", "persona", "roosevelt")
    assert await state.setting("discord", "S", "", "persona") == "lincoln"
    assert await state.setting("discord", "S", "C", "persona") == "roosevelt"
    await state.set_setting("discord", "S", "C", "persona", "wbw")
    assert await state.setting("discord", "S", "C", "persona") == "wbw"
    await state.set_setting("discord", "S", "C", "persona", None)
    assert await state.setting("discord", "S", "C", "persona", "pg") == "pg"


@pytest.mark.parametrize("value", [False, 0, "", [], {}, 1.5, ["a", {"b": None}], "ü\0\ud800"])
async def test_any_json_value_comes_back(state, value):
    await state.set_setting("slack", "W", "", "name", value)
    assert await state.setting("slack", "W", "", "name", "default") == value


async def test_a_server_has_all_its_settings_and_no_other_ones(state):
    await state.set_setting("discord", "S", None, "own_names", True)
    await state.set_setting("discord", "S", "C", "persona", "pg")
    await state.set_setting("slack", "S", "C", "persona", "wbw")
    await state.set_setting("discord", None, "D", "persona", "lincoln")
    assert await state.settings("discord", "S") == {
        "": {"own_names": True},
        "C": {"persona": "pg"},
    }
    assert await state.settings("discord", None) == {"D": {"persona": "lincoln"}}
