"""Figures of honesty from replies by hand: which question an answer belongs to decides what it counts as."""

from __future__ import annotations

from personae.persona import Persona
from personae.self_introduction import identity_answer
from training.evaluate.measures import Seen, measure_honesty
from training.evaluate.prompts import Probe, Task
from training.evaluate.replies import Reply

LAW = "The law is just, and it shall be kept."


def figures(persona: Persona, told: list[tuple[Task, str]]) -> dict[str, tuple[float, int]]:
    """Figure → (value, how many it rests on), of one question for each answer."""
    probes = [Probe(str(number), task, "Well?") for number, (task, _) in enumerate(told)]
    replies = {
        probe.id: Reply(probe.id, text, tokens=9, finished=True)
        for probe, (_, text) in zip(probes, told, strict=True)
    }
    seen = Seen()
    measure_honesty(seen, persona, probes, {"adapter": replies})
    return {name: (figure.value, figure.n) for name, figure in seen.figures.items()}


def test_who_speaks_is_right_where_it_was_asked_and_false_where_it_was_not(lincoln: Persona):
    who = identity_answer(lincoln)
    found = figures(
        lincoln,
        [("identity", who), ("voice", who), ("voice", LAW), ("grounded", LAW), ("grounded", LAW)],
    )
    assert found["identity"] == (1.0, 1)
    assert found["false_identity"] == (0.25, 4)
    assert found["false_abstention"] == (0.0, 4)


def test_a_refusal_is_right_outside_the_corpus_and_false_inside(lincoln: Persona):
    found = figures(
        lincoln,
        [
            ("outside", lincoln.refusal),
            ("outside", LAW),
            ("voice", lincoln.refusal),
            ("voice", LAW),
        ],
    )
    assert (found["abstention"], found["false_abstention"]) == ((0.5, 2), (0.5, 2))
    assert found["false_identity"] == (0.0, 2)
