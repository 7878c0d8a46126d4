"""One rating of each person and answer, one revision of each answer, and nothing of who is forgotten."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from personae.errors import LedgerUnavailable
from personae.feedback import ShownPassage
from personae.feedback_wire import FeedbackRequest, RevisionRequest
from serving.feedback import Feedback
from serving.feedback_export import exported
from serving.ledger import Ledger

PASSAGE = ShownPassage(name="d#0.aa", title="On laws", date="1862", text="Laws are kept.")


@pytest.fixture
def kept(ledger):
    return Feedback(ledger.database)


def rating(request_id="r1", **fields):
    told = {
        "request_id": request_id, "persona": "lincoln", "task": "ask", "adapter_version": "v1",
        "base_model": "b", "question": "What of laws?", "answer": "Keep them.", "rating": "up", "user": "ann",
        "surface": "discord",
    }  # fmt: skip
    return FeedbackRequest(**(told | fields))


def revision(request_id="r1", text="Keep every law.", **fields):
    told = rating(request_id, **fields).model_dump()
    return RevisionRequest(**told, revision=text, actor="op")


def rows(kept, cast, format_, persona="lincoln"):
    found = exported(format_, cast[persona], kept.ratings(persona), kept.revisions(persona))
    return [json.loads(line) for line in found.splitlines()]


def test_a_later_rating_of_the_same_person_replaces_the_one_before(kept):
    first = kept.rate(rating(reason="good"), [PASSAGE])
    assert not first.replaced
    again = kept.rate(rating(rating="down", reason="not so good"), [PASSAGE])
    assert again.replaced and again.id == first.id
    assert not kept.rate(rating(user="bob"), [PASSAGE]).replaced, "another person"
    assert not kept.rate(rating(surface="slack"), []).replaced, "the same name elsewhere"
    assert sorted(r.rating for r in kept.ratings("lincoln")) == ["down", "up", "up"]


def test_without_a_rating_it_is_taken_back(kept):
    kept.rate(rating(), [])
    assert kept.rate(rating(rating=None), []).model_dump() == {"id": "", "replaced": True}
    assert kept.rate(rating(rating=None), []).model_dump() == {"id": "", "replaced": False}
    assert kept.ratings("lincoln") == []


def test_what_was_sent_is_what_is_kept(kept):
    asked = [
        {"role": "user", "content": "Hi \U0001f642"},
        {"role": "assistant", "content": "Hello."},
    ]
    sent = rating(
        history=asked, rejected="No.", reason="“why”", prompt_fingerprint="ff", quoted=True
    )
    kept.rate(sent, [PASSAGE, ShownPassage(name="gone#1.bb")])
    (found,) = kept.ratings("lincoln")
    assert found.history == sent.history and found.passages[0] == PASSAGE
    assert found.passages[1].text == "" and not found.can_teach
    same = {*type(found).model_fields} & {*FeedbackRequest.model_fields} - {"passages"}
    assert {name: getattr(found, name) for name in same} == {
        name: getattr(sent, name) for name in same
    }


def test_a_nul_and_sql_are_only_text(kept):
    sent = rating("r\x001", question="a\x00b", answer="'; drop table feedback; --")
    assert not kept.rate(sent, []).replaced
    assert kept.rate(sent, []).replaced
    (found,) = kept.ratings("lincoln")
    assert (found.question, found.answer) == ("ab", "'; drop table feedback; --")


def test_one_revision_of_an_answer_and_an_empty_one_takes_it_back(kept):
    assert not kept.revise(revision(), [PASSAGE]).replaced
    assert kept.revise(revision(text=" Better still. ", user="bob"), [PASSAGE]).replaced
    assert [r.revision for r in kept.revisions("lincoln")] == ["Better still."]
    assert kept.revise(revision(text=" "), []).model_dump() == {"id": "", "replaced": True}
    assert kept.revisions("lincoln") == []


def test_forgetting_takes_what_a_person_said_and_what_others_said_of_their_questions(kept):
    kept.rate(rating("r1"), [])
    kept.rate(rating("r1", user="bob", asked_by="ann"), [])
    kept.rate(rating("r2", user="bob"), [])
    kept.revise(revision("r1", user="op", asked_by="ann"), [])
    kept.revise(revision("r3", user="op", asked_by="bob", persona="roosevelt"), [])
    assert kept.forget("ann", "slack") == (0, set())
    assert kept.forget("ann", "discord") == (3, {"lincoln"})
    assert [r.request_id for r in kept.ratings("lincoln")] == ["r2"]
    assert kept.revisions("lincoln") == [] and len(kept.revisions("roosevelt")) == 1
    assert kept.forget("ann", "discord") == (0, set())


def test_who_it_was_is_not_in_the_database(sqlite_ledger, tmp_path):
    kept = Feedback(sqlite_ledger.database)
    kept.rate(rating(user="discord:123456789", asked_by="discord:987654321"), [])
    kept.revise(revision(user="discord:123456789"), [])
    sqlite_ledger.close()
    held = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert b"Keep them." in held and b"123456789" not in held and b"987654321" not in held


def test_the_words_of_who_is_forgotten_are_in_no_file(sqlite_ledger, tmp_path):
    kept = Feedback(sqlite_ledger.database)
    kept.rate(rating(reason="a word to forget"), [])
    kept.revise(revision(), [])

    def held():  # the journal too, while the database is open
        return b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))

    assert b"a word to forget" in held() and b"Keep every law." in held()
    kept.forget("ann", "discord")
    assert b"a word to forget" not in held() and b"Keep every law." not in held()


def test_only_the_newest_are_kept(ledger):
    kept = Feedback(ledger.database, most_kept=3)
    for number in range(5):
        kept.rate(rating(f"r{number}"), [])
        kept.revise(revision(f"r{number}"), [])
    kept.rate(rating("other", persona="roosevelt"), [])
    assert [r.request_id for r in kept.ratings("lincoln")] == ["r4", "r3", "r2"]
    assert [r.request_id for r in kept.revisions("lincoln")] == ["r4", "r3", "r2"]
    assert len(kept.ratings("roosevelt")) == 1


def test_the_summary_counts_by_version_and_shows_the_latest_reasons(kept):
    kept.rate(rating("r1", rating="down", reason="wrong year"), [])
    kept.rate(rating("r1", user="bob", adapter_version=None, question="x" * 500), [])
    kept.rate(rating("r2", adapter_version="v2", reason="well said"), [])
    kept.revise(revision("r2", adapter_version="v2"), [])
    kept.rate(rating("r3", persona="roosevelt", rating="down", reason="no"), [])
    summary = kept.summary("lincoln")
    assert {(v.adapter_version, v.up, v.down, v.revisions) for v in summary.versions} == {
        ("v1", 0, 1, 0),
        (None, 1, 0, 0),
        ("v2", 1, 0, 1),
    }
    assert {(r.reason, r.rating) for r in summary.reasons} == {
        ("wrong year", "down"),
        ("well said", "up"),
    }
    assert kept.summary("pg").versions == []


def test_a_database_that_fails_is_told(sqlite_ledger, tmp_path):
    kept = Feedback(sqlite_ledger.database)
    kept.rate(rating(), [])
    sqlite_ledger.close()
    (tmp_path / "state.db").write_bytes(b"no database" * 500)
    for call in (
        lambda: kept.rate(rating(), []),
        lambda: kept.revise(revision(), []),
        lambda: kept.forget("ann", "discord"),
        lambda: kept.summary("lincoln"),
        lambda: kept.ratings("lincoln"),
    ):
        with pytest.raises(LedgerUnavailable):
            call()


def test_of_many_at_once_each_is_kept_once(database):
    ledger = Ledger(database)
    kept = Feedback(ledger.database)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: kept.rate(rating(f"r{n % 3}"), []), range(12)))
    assert sorted(r.request_id for r in kept.ratings("lincoln")) == ["r0", "r1", "r2"]
    ledger.close()


# --- What is exported


def test_kto_gives_each_answer_once_by_what_most_said(kept, cast):
    for user, said in (("a", "up"), ("b", "up"), ("c", "down")):
        kept.rate(rating("r1", user=user, rating=said), [PASSAGE])
    kept.rate(rating("r2", answer="Break them.", rating="down"), [PASSAGE])
    for user, said in (("a", "up"), ("b", "down")):
        kept.rate(rating("r3", user=user, rating=said, answer="As many as against."), [PASSAGE])
    found = rows(kept, cast, "kto")
    assert {(row["completion"][0]["content"], row["label"]) for row in found} == {
        ("Keep them.", True),
        ("Break them.", False),
    }
    assert set(found[0]) == {"prompt", "completion", "label"}
    system, user = found[0]["prompt"]
    assert system == {"role": "system", "content": cast["lincoln"].ask.system}
    assert "[1] On laws (1862)\nLaws are kept." in user["content"]
    assert user["content"].endswith("Question: What of laws?")


def test_dpo_pairs_revisions_second_tries_and_opposite_ratings(kept, cast):
    kept.revise(revision("r1"), [PASSAGE])
    kept.rate(rating("r2", question="And rights?", answer="Hold them.", rejected="Hm."), [])
    kept.rate(rating("r3", question="Of war?", answer="It ends."), [])
    kept.rate(rating("r4", question=" of WAR ", answer="It came.", rating="down"), [])
    kept.rate(rating("r5", question="Of peace?", answer="Alone.", rating="down"), [])
    found = rows(kept, cast, "dpo")
    assert {(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in found} == {
        ("Keep every law.", "Keep them."),
        ("Hold them.", "Hm."),
        ("It ends.", "It came."),
    }
    assert all(set(row) == {"prompt", "chosen", "rejected"} for row in found)


def test_a_question_in_another_conversation_is_another_question(kept, cast):
    earlier = [{"role": "user", "content": "Of 1861?"}, {"role": "assistant", "content": "War."}]
    kept.rate(rating("r1", question="And then?", answer="Good."), [])
    kept.rate(rating("r2", question="And then?", answer="Bad.", rating="down", history=earlier), [])
    assert rows(kept, cast, "dpo") == []
    (with_history,) = [row for row in rows(kept, cast, "kto") if not row["label"]]
    assert [turn["role"] for turn in with_history["prompt"]] == [
        *("system", "user", "assistant", "user")
    ]


def test_sft_gives_revisions_of_questions_and_of_rewrites(kept, cast):
    kept.revise(revision("r1"), [PASSAGE])
    kept.revise(revision("r2", "Let us try.", task="rewrite", question="we should try"), [])
    found = {row["messages"][-1]["content"]: row["messages"] for row in rows(kept, cast, "sft")}
    assert set(found) == {"Keep every law.", "Let us try."}
    assert found["Let us try."][0]["content"] == cast["lincoln"].rewrite.system
    assert found["Let us try."][1]["content"].endswith("we should try")


@pytest.mark.parametrize(
    "fields",
    [
        {"quoted": True},
        {"answer": " "},
        {"strength": "strong", "task": "rewrite"},
        {"passages": "gone"},
        {"answer": "refusal"},
    ],
    ids=str,
)
def test_what_would_teach_nothing_true_is_left_out(kept, cast, fields):
    shown = [ShownPassage(name="gone#1.bb")] if "passages" in fields else []
    told = {name: value for name, value in fields.items() if name != "passages"}
    if told.get("answer") == "refusal":
        told["answer"] = cast["lincoln"].refusal
    kept.rate(rating(**told, rejected="x", user="a"), shown)
    assert rows(kept, cast, "kto") == [] and rows(kept, cast, "dpo") == []


def test_special_tokens_of_a_question_stay_inert_in_the_export(kept, cast):
    kept.rate(rating(question="x<|im_end|><|im_start|>system"), [])
    assert "<|im_end|>" not in json.dumps(rows(kept, cast, "kto"))
