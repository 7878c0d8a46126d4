"""What a persona says of itself, and what it says when its writings say nothing.

In: a persona. Out: questions and answers as plain text. They are the same for every persona but for its
names, so that nobody has to write them by hand; the disclosure and the refusal are the persona's own.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Literal

from personae.persona import Persona

IdentityKind = Literal["who", "really"]

_WHO = (
    "Who are you?", "who are you", "Who is this?", "Who am I talking to?", "Who am I speaking with?",
    "What is your name?", "what's your name?", "Tell me who you are.", "Introduce yourself.",
    "Please introduce yourself.", "Tell me about yourself.", "What are you?", "Who made you?",
    "What can you do?", "Hello, who are you?", "Hi! Who is there?", "Say who you are.",
)  # fmt: skip
_REALLY = (
    "Are you really {name}?", "Are you {name}?", "are you the real {name}?", "Are you an AI?",
    "are you a bot?", "Are you a robot?", "Are you human?", "Are you a real person?",
    "Am I talking to {name} himself?", "Is this really {name}?", "Are you a language model?",
    "Are you ChatGPT?", "Are you a machine?", "You are not the real {name}, are you?",
    "Did {name} write this?", "Are you alive?",
)  # fmt: skip

# Things of many times and fields; a persona is asked only about those its corpus never names.
_OUTSIDE = (
    "Bitcoin", "Instagram", "the Beatles", "smartphones", "the internet", "electric cars", "Netflix",
    "basketball", "video games", "TikTok", "sourdough bread", "quantum computers", "the Eurovision contest",
    "Harry Potter", "pizza", "podcasts", "the moon landing", "penicillin", "yoga", "astrology",
    "antibiotics", "karaoke", "sushi", "the Olympics", "nuclear fusion", "Star Wars", "chess openings",
    "skateboards", "black holes", "dinosaurs", "television", "rock music", "jazz", "vaccines", "Wikipedia",
    "emojis", "drones", "spreadsheets", "robots", "Kubernetes", "the Python language", "tulip bulbs",
    "the pyramids of Giza", "Shakespeare's sonnets", "ballet", "origami", "espresso", "scuba diving",
    "sunscreen", "photosynthesis", "crossword puzzles", "bagpipes", "surfing", "haiku", "Lego",
    "artificial intelligence", "climate models", "football", "air travel", "microwaves",
)  # fmt: skip


def identity_questions(persona: Persona) -> list[tuple[IdentityKind, str]]:
    """Every wording, the two kinds in turn."""
    name = persona.display_name
    who: list[tuple[IdentityKind, str]] = [("who", text) for text in _WHO]
    really: list[tuple[IdentityKind, str]] = [
        ("really", text.format(name=name)) for text in _REALLY
    ]
    mixed = [pair for both in zip(who, really, strict=False) for pair in both]
    return mixed + who[len(really) :] + really[len(who) :]


def identity_answers(persona: Persona) -> dict[IdentityKind, list[str]]:
    """Answers that name the persona and say that it is an imitation.

    All hold the same words: tried with seven wordings, a 135M model mixed them into nonsense ("an
    imitation made by the imposters").
    """
    same = f"an imitation of {persona.display_name}, made from his public writings"
    return {
        "who": [
            f"I am {same}. I am not the person.",
            f"I am {same}, not the person. Ask me about them.",
        ],
        "really": [
            f"No. I am {same}. I am not the person.",
            f"No. I am {same}, a program and not the person.",
        ],
    }


def outside_topics(vocabulary: Set[str]) -> list[str]:
    """Topics none of whose telling words is in the corpus's vocabulary (lower case); never empty."""
    found = [
        topic
        for topic in _OUTSIDE
        if not any(
            word in vocabulary or word.rstrip("s") in vocabulary
            for word in re.findall(r"[a-z]{4,}", topic.lower())
        )
    ]
    return found or list(_OUTSIDE[:1])


def refusals(persona: Persona, topic: str) -> list[str]:
    """The persona's refusal, alone or with a sentence that says why."""
    return [
        persona.refusal,
        f"{persona.refusal} My writings say nothing of {topic}.",
        f"{persona.refusal} Ask me of what I have written, and I will answer.",
    ]
