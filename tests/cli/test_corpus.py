"""`personae corpus ingest` and `show`, as a person types them."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_cli import personae
from tests.fakes.dirty_writing import SECRETS, write_dirty_cast


@pytest.fixture
def options(tmp_path) -> list[str]:
    """Of a home with one persona, whose writing is dirty and not ingested yet."""
    write_dirty_cast(tmp_path / "cast")
    (tmp_path / "personae.toml").write_text(f'[personae]\ncast = "{tmp_path / "cast"}"\n')
    return ["--config", str(tmp_path / "personae.toml")]


async def test_ingest_tells_what_each_rule_took_and_show_why(options):
    code, out, err = await personae(*options, "corpus", "ingest", "ada")
    assert code == 0
    first, *rules = out.splitlines()
    assert first.startswith("ada: 6 documents, ")
    assert [line.split(":")[0].strip() for line in rules] == [
        "personal_data", "code", "quotes", "boilerplate", "language", "lists", "short", "duplicates",
    ]  # fmt: skip
    assert "  short: 1 document as a whole, 3 words" in rules
    assert "personae corpus show ada" in err

    code, out, err = await personae(*options, "corpus", "show", "ada")
    assert code == 0
    assert out.startswith("ada: 6 of 10 documents and ")
    assert "1 × mostly list items" in out and "1 × a program listing" in out
    assert "[e-mail]" in out and "removed.jsonl" in err
    assert not any(secret in out for secret in SECRETS)


async def test_show_of_one_rule_and_as_json(options):
    await personae(*options, "corpus", "ingest", "ada", "--json")
    code, out, _ = await personae(
        *options, "corpus", "show", "ada", "--rule", "quotes", "--samples", "1"
    )
    assert code == 0
    assert "> Bees are small." in out and "mostly list items" not in out
    assert "— Old Marta" not in out
    code, out, err = await personae(
        *options, "corpus", "show", "ada", "--rule", "quotes", "--samples", "5", "--json"
    )
    assert (code, err) == (0, "")
    (rule,) = json.loads(out)["rules"]
    assert [sample["text"] for sample in rule["samples"]] == ["> Bees are small.", "— Old Marta"]


async def test_ingest_as_json_is_the_manifest_with_the_words_of_each_rule(options):
    code, out, _ = await personae(*options, "corpus", "ingest", "ada", "--json")
    manifest = json.loads(out)
    assert code == 0 and manifest["documents"] == 6
    assert manifest["cleaning"]["short"] == 3


async def test_show_before_ingest_and_of_an_unknown_rule_say_what_to_do(options):
    code, _, err = await personae(*options, "corpus", "show", "ada")
    assert code == 1 and "corpus ingest ada" in err
    code, _, err = await personae(*options, "corpus", "show", "ada", "--rule", "dust")
    assert code == 2 and "personal_data" in err
