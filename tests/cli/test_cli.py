"""The command line against a running gateway, as a person types it: a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys

import aiohttp
import pytest

from personae.files import write_atomic
from personae.keys import KEY_FILE
from personae.persona import Cast
from tests.conftest import REPOSITORY, RunningGateway, gateway_over, with_floor


async def personae(*arguments: str, stdin: bytes | None = None, **environment: str):
    """(exit code, stdout, stderr) of `personae …`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "personae.cli", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, cwd=REPOSITORY,
        env={k: v for k, v in os.environ.items() if not k.startswith("PERSONAE_")} | environment,
    )  # fmt: skip
    out, err = await process.communicate(stdin)
    return process.returncode, out.decode(), err.decode()


def on(gateway: RunningGateway) -> list[str]:
    return ["--config", str(gateway.config.home.parent / "personae.toml")]


async def test_ask_prints_the_answer_its_sources_and_what_it_is(gateway):
    code, out, err = await personae(
        *on(gateway), "ask", "lincoln", "What", "of", "the", "Union?", "--url", gateway.url
    )
    assert (code, err) == (0, "")
    assert out.startswith("[lincoln@v1] We must think anew.")
    assert "[1] Message on the Union (1862-12-01)  https://example.org/1862" in out
    assert "— An imitation of Abraham Lincoln, not the person. (voice v1 on smollm2-135m)" in out


async def test_ask_says_of_each_source_whether_it_is_quoted_or_paraphrased(gateway):
    gateway.engine.words = [
        "“The Union must be kept whole”. ",
        "A nation is its land and its laws.",
    ]
    code, out, err = await personae(
        *on(gateway), "ask", "lincoln", "What of the Union and its laws?", "--url", gateway.url
    )
    assert (code, err) == (0, "")
    assert "kept whole” [1]. A nation is its land and its laws. [1]" in out
    assert "https://example.org/1862  (quoted, paraphrased)" in out


async def test_ask_shows_the_sentences_meant_and_takes_dates(gateway):
    asked = ("ask", "lincoln", "What of the Union and its laws?", "--url", gateway.url)
    code, out, _ = await personae(*on(gateway), *asked, "--quotes", "--until", "1862")
    assert code == 0 and "[1] “A nation is its land and its laws.”" in out
    assert "railroads" not in out
    code, _, err = await personae(*on(gateway), *asked, "--since", "yesterday")
    assert code == 2 and 'a date is written "1862"' in err


async def test_unanswered_questions_are_listed_and_deleted(engine, cast, tmp_path):
    declining = Cast((with_floor(its, None), cast.folder(its.id)) for its in cast.values())
    async with gateway_over(engine, declining, tmp_path) as gateway:
        asked = "How do I bake sourdough pizza?"
        url = ("--url", gateway.url)
        code, out, _ = await personae(*on(gateway), "ask", "lincoln", asked, *url)
        assert code == 0 and out.startswith(gateway.cast["lincoln"].refusal)
        key = {"PERSONAE_ADMIN_KEY": gateway.admin_key}
        code, out, err = await personae(*on(gateway), "unanswered", "lincoln", *url, **key)
        assert (code, err) == (0, "") and asked in out
        code, out, _ = await personae(*on(gateway), "unanswered", "lincoln", "--json", *url, **key)
        assert json.loads(out)["questions"][0]["times"] == 1
        code, out, _ = await personae(*on(gateway), "unanswered", "lincoln", "--clear", *url, **key)
        assert out == "1 question to lincoln was deleted.\n"
        code, out, _ = await personae(*on(gateway), "unanswered", "lincoln", *url, **key)
        assert out == "lincoln has left no question unanswered.\n"


async def test_rewrite_reads_words_a_file_or_standard_input(gateway, tmp_path):
    (tmp_path / "text.txt").write_text("From a file.", encoding="utf-8")
    calls = [
        (["From", "words."], None, "From words."),
        (["--file", str(tmp_path / "text.txt")], None, "From a file."),
        ([], b"From a pipe.", "From a pipe."),
    ]
    for arguments, stdin, text in calls:
        code, out, err = await personae(
            *on(gateway), "rewrite", "roosevelt", "--url", gateway.url, *arguments, stdin=stdin
        )
        assert (code, err) == (0, "")
        assert "[roosevelt@v1]" in out
        assert gateway.engine.requests[-1]["messages"][1]["content"].endswith(text)


async def test_whoever_has_to_wait_sees_the_place_in_line_and_at_last_the_answer(
    engine, cast, tmp_path
):
    settings = {"gateway": "max_answers_at_once = 1", "deadlines": "drain_seconds = 1"}
    async with gateway_over(engine, cast, tmp_path, **settings) as gateway:
        door = gateway.service.bases.of("lincoln").admission
        engine.hang_after = 1
        body = {"persona": "lincoln", "text": "Try harder."}
        async with (
            aiohttp.ClientSession(gateway.url) as http,
            http.post("/v1/rewrite", json=body) as taken,
        ):
            call = personae(*on(gateway), "ask", "lincoln", "Who?", "--url", gateway.url)
            waiting = asyncio.create_task(call)
            async with asyncio.timeout(20):
                while not door.waiting:
                    await asyncio.sleep(0.02)
            engine.hang_after = None
            taken.close()
            code, out, err = await waiting
    assert code == 0
    assert err.startswith("In line: 1st, about ")
    assert out.startswith("[lincoln@v1] We must think anew.")


async def test_passages_without_the_model_say_that_they_are(engine, cast, tmp_path):
    async with gateway_over(engine, cast, tmp_path) as gateway:
        engine.unhealthy = True
        async with asyncio.timeout(30):
            while gateway.service.bases.ready:
                await asyncio.sleep(0.02)
        code, out, err = await personae(
            *on(gateway), "ask", "lincoln", "What of the Union?", "--url", gateway.url
        )
    assert (code, err) == (0, "")
    assert out.startswith("“The Union must be kept whole")
    assert "no model wrote them" in out and "voice" not in out
    assert "[1] Message on the Union" in out


async def test_json_is_json(gateway):
    arguments = (*on(gateway), "ask", "lincoln", "Who?", "--json", "--url", gateway.url)
    code, out, _ = await personae(*arguments)
    assert code == 0
    reply = json.loads(out)
    assert reply["meta"]["adapter_version"] == "v1"
    assert reply["text"] == "[lincoln@v1] We must think anew."


async def test_reload_and_rollback_move_the_pointer_and_back(gateway):
    write_atomic(gateway.config.home / KEY_FILE, gateway.admin_key, mode=0o600)
    url = ("--url", gateway.url)
    code, out, err = await personae(*on(gateway), "adapters", "reload", "lincoln", *url)
    assert (code, err) == (0, "")
    assert "lincoln now speaks with v2, before that v1." in out
    code, out, _ = await personae(*on(gateway), "adapters", "list", *url)
    assert code == 0 and "live" in out and "previous" in out
    code, out, _ = await personae(*on(gateway), "adapters", "rollback", "lincoln", "--json", *url)
    outcome = json.loads(out)
    assert (code, outcome["live"], outcome["previous"]) == (0, "v1", "v2")
    code, out, _ = await personae(*on(gateway), "adapters", "history", "lincoln", *url)
    assert code == 0
    actions = [line.split()[1:3] for line in out.splitlines()]
    assert actions == [["rollback", "done"], ["reload", "done"], ["adopt", "done"]]
    assert "cli:" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", "lincon", "Who?"], "Did you mean lincoln?"),
        (["ask", "lincoln", " "], "The question is empty"),
        (["rewrite", "lincoln", "x" * 5000], "takes up to 4,000"),
        (["rewrite", "lincoln", "--file", "/nowhere/at-all"], "can't be read"),
        (["adapters", "reload", "lincoln", "v9"], "There are: v1, v2"),
    ],
)
async def test_mistakes_are_one_sentence_and_exit_code_1(gateway, arguments, words):
    url = ("--url", gateway.url)
    code, out, err = await personae(
        *on(gateway), *arguments, *url, PERSONAE_ADMIN_KEY=gateway.admin_key
    )
    assert code == 1 and out == ""
    assert err.startswith("Error: ") and words in err
    assert "Traceback" not in err


async def test_no_gateway_says_so(tmp_path):
    code, _, err = await personae("ask", "lincoln", "Who?", "--url", "http://127.0.0.1:9")
    assert code == 1
    assert "Is `personae up` running here?" in err


async def test_wrong_admin_key_is_refused(gateway):
    code, _, err = await personae(
        *on(gateway), "adapters", "list", "--url", gateway.url, PERSONAE_ADMIN_KEY="wrong"
    )
    assert code == 1 and "admin key" in err and "wrong" not in err


async def test_a_broken_persona_file_stops_up_with_all_its_problems(tmp_path):
    broken = tmp_path / "cast" / "ada"
    broken.mkdir(parents=True)
    (broken / "persona.toml").write_text('id = "ada"\ncolour = 1\n')
    (tmp_path / "p.toml").write_text(
        f'[personae]\nhome = "{tmp_path / "var"}"\ncast = "{tmp_path / "cast"}"\n'
    )
    code, _, err = await personae("--config", str(tmp_path / "p.toml"), "up")
    assert code == 1
    assert "colour: unknown key" in err and "disclosure: missing" in err
    assert not (tmp_path / "var").exists()


async def test_a_taken_port_is_told_before_anything_starts(gateway, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = await personae(
            *on(gateway), "up", "--no-bots", "--port", str(port), PERSONAE_ADMIN_KEY="k"
        )
    assert code == 1
    assert f"Port {port} on 127.0.0.1 is taken" in err and "--port" in err


async def test_doctor_lists_findings_and_hides_tokens(tmp_path):
    nowhere = "http://127.0.0.1:9/api"
    environment = {"PERSONAE_HOME": str(tmp_path), "DISCORD_TOKEN": "discord-secret"}
    environment["DISCORD_API_BASE"] = nowhere
    code, out, err = await personae("doctor", "--json", **environment)
    findings = {finding["what"]: finding for finding in json.loads(out)}
    assert code in (0, 1) and "Traceback" not in err
    assert {"python", "disk", "port", "model", "discord", "slack"} <= set(findings)
    assert "discord-secret" not in out + err


async def test_unknown_commands_and_options_are_exit_code_2():
    code, _, err = await personae("sing")
    assert code == 2 and "No such command" in err
