"""`personae feedback` against a running gateway, in a process of its own."""

from __future__ import annotations

import json

import pytest

from bot.core.gateway_client import GatewayClient
from personae.feedback import read_revisions
from personae.feedback_wire import FeedbackRequest, RevisionRequest
from tests.cli.test_cli import on, personae

TOLD = {
    "request_id": "r1", "persona": "lincoln", "task": "ask", "adapter_version": "v1", "base_model": "b",
    "question": "What of\nlaws?", "answer": "Keep them.", "user": "discord:7", "surface": "discord",
}  # fmt: skip


@pytest.fixture
async def feedback(gateway):
    """Runs the command; lincoln has an answer that one person disliked and one revised."""

    async def run(*arguments: str) -> tuple[int | None, str, str]:
        key = {"PERSONAE_ADMIN_KEY": gateway.admin_key}
        return await personae(*on(gateway), "feedback", *arguments, "--url", gateway.url, **key)

    async with GatewayClient(gateway.url, admin_key=gateway.admin_key) as client:
        await client.feedback(FeedbackRequest(**TOLD, rating="down", reason="too short"))
        await client.revise(RevisionRequest(**TOLD, revision="Keep every law, and mend it."))
    return run


async def test_show_counts_by_version_and_tells_the_reasons(feedback):
    code, out, err = await feedback("show", "lincoln")
    assert (code, err) == (0, "")
    assert out.startswith("v1         on b: 0 up, 1 down, 1 revised\n")
    assert "down  v1         too short\n" in out and "to: What of laws?\n" in out
    code, out, err = await feedback("show", "roosevelt")
    assert (code, out, err) == (0, "Nobody has rated roosevelt yet.\n", "")


async def test_export_prints_lines_or_writes_a_file(feedback, tmp_path):
    code, out, err = await feedback("export", "lincoln", "--format", "dpo")
    assert (code, err) == (0, "1 line.\n")
    assert json.loads(out)["chosen"][0]["content"] == "Keep every law, and mend it."
    file = tmp_path / "elsewhere" / "lincoln" / "revisions.jsonl"
    code, out, err = await feedback("export", "lincoln", "--format", "revisions", "-o", str(file))
    assert (code, out, err) == (0, "", f"1 line in {file}.\n")
    assert len(read_revisions(tmp_path / "elsewhere", "lincoln")) == 1


async def test_a_file_that_cannot_be_written_is_told(feedback):
    code, _, err = await feedback("export", "lincoln", "--format", "kto", "-o", "/proc/no/file")
    assert code == 1 and "can't be written" in err


async def test_forget_says_how_much_went(feedback, gateway):
    code, out, _ = await feedback("forget", "discord:7", "--surface", "discord")
    assert (code, out) == (0, "2 entries were deleted.\n")
    assert read_revisions(gateway.config.feedback, "lincoln") == []


async def test_a_wrong_format_is_told_with_those_there_are():
    code, _, err = await personae("feedback", "export", "lincoln", "--format", "csv")
    assert code == 2 and "'kto', 'dpo', 'sft', 'revisions'" in err
