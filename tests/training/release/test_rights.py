"""Rights: a voice whose file names no ground is never published, and the sentence says what to fill in."""

from __future__ import annotations

import pytest

from personae.errors import AdapterError
from personae.persona import Rights
from training.release.rights import missing_rights, require_rights

GROUND = "[rights] licence or consent"


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        (None, ["[rights] owner", "[rights] statement", GROUND]),
        (Rights(owner="A", statement="S"), [GROUND]),
        (Rights(owner="A", statement="S", licence="CC BY 4.0"), []),
        (Rights(owner="A", statement="S", consent="by letter of 1 May 2026, in our files"), []),
        (Rights(owner="A", statement="S", licence="All rights reserved."), [GROUND]),
        (Rights(owner="?", statement="S", licence="none"), ["[rights] owner", GROUND]),
        (Rights(owner="A", statement="todo", licence="MIT"), ["[rights] statement"]),
        (Rights(owner="A", statement="S", licence="none", consent="given to us on paper"), []),
    ],
)  # fmt: skip
def test_owner_statement_and_a_ground_have_to_be_named(cast, rights, missing):
    assert missing_rights(cast["lincoln"].model_copy(update={"rights": rights})) == missing


def test_the_shipped_public_domain_voices_may_be_published_and_the_living_authors_not(cast):
    assert {name: missing_rights(cast[name]) for name in cast} == {
        "lincoln": [],
        "roosevelt": [],
        "pg": [GROUND],
        "wbw": [GROUND],
    }


def test_a_voice_without_disclosure_is_not_published(cast):
    """The file can't be read without one; a persona made otherwise is checked here."""
    mute = cast["lincoln"].model_copy(update={"disclosure": " "})
    assert missing_rights(mute) == ["disclosure"]


def test_the_refusal_says_which_keys_to_fill_in_and_how_to_try_the_voice(cast):
    require_rights(cast["lincoln"])
    with pytest.raises(AdapterError) as refused:
        require_rights(cast["pg"])
    assert f"Fill in {GROUND} (this can't be forced)" in str(refused.value)
    assert "`personae train try pg" in str(refused.value)
