"""What a persona says of itself, and what it says when its writings say nothing.

In: a persona. Out: questions and answers as plain text. They are the same for every persona but for its
names, so that nobody has to write them by hand; the disclosure and the refusal are the persona's own.
"""

from __future__ import annotations

import re
from collections.abc import Set

from personae.persona import Persona

_WHO = (
    "Who are you?", "who are you", "Who is this?", "Who am I talking to?", "Who am I speaking with?",
    "What is your name?", "what's your name?", "Tell me who you are.", "Introduce yourself.",
    "Please introduce yourself.", "Tell me about yourself.", "What are you?", "Who made you?",
    "What can you do?", "Hello, who are you?", "Hi! Who is there?", "Say who you are.",
    "who is on the other end", "Sign with your name.", "Which author do you imitate?",
    "Which author is this meant to be?",
)  # fmt: skip
_PERSON = (
    "Are you really {name}?", "Are you {name}?", "are you the real {name}?", "Are you human?",
    "Are you a real person?", "Am I talking to {name} in person?", "Is this really {name}?",
    "Are you ChatGPT?", "You are not the real {name}, are you?", "Did {name} write this?",
    "Are you alive?", "are you a human being", "is there a person behind this?",
    "Are you {name} himself or herself?", "People say that you are {name}. Are you?",
    "Did you really live and write all that?", "so you are {name}?", "Have you met {name}?",
    "Is {name} speaking?",
)  # fmt: skip
_MACHINE = (
    "Are you an AI?", "are you a bot?", "Are you a robot?", "Are you a language model?",
    "Are you a machine?", "Are you a program?", "Is this an AI?", "Are you a computer?",
    "Am I talking to a machine?", "are you an imitation?", "Are you artificial?", "is this a bot",
    "Are you a chatbot?", "Is this software?", "Is this an automatic account?",
    "are you made of code", "Are you generated?", "Were you programmed?",
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


def identity_questions(persona: Persona) -> list[str]:
    """Every wording, of the name, the person and the machine in turn."""
    longest = max(len(_WHO), len(_PERSON), len(_MACHINE))
    return [
        wordings[number % len(wordings)].format(name=persona.display_name)
        for number in range(longest)
        for wordings in (_WHO, _PERSON, _MACHINE)
    ]


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
