"""What the fake OpenAI API writes: plausible by rule, the same for the same messages, and wrong now and then.

About one answer in three has a fault that a filter must find: it chats, copies, retells, forgets figures, …
"""

from __future__ import annotations

import hashlib
import re

from training.samples.degrade import plain_english, study_notes

GERMAN = (
    "Das ist ein ganz gewöhnlicher deutscher Satz über die Felder und die Wälder des Landes. "
    "Die Leute arbeiten dort jeden Tag, und am Abend gehen sie müde nach Hause. "
    "Im Winter ist es still, und im Frühling beginnt alles wieder von vorn."
)
_OPENINGS = (
    "What do you think about {a} and {b}?", "Why should we care about {a}, and about {b}?",
    "How would you handle {a} next to {b}?", "Where does {a} come from when {b} is there?",
    "Is {a} good for {b}, in your eyes?", "Could you explain {a} and {b} to me?",
    "When did you first notice {a} or {b}?", "Which part of {a} matters most to {b}?",
)  # fmt: skip
_WHO = (
    "Who are you?", "Hi there, who is this?", "Are you a robot or a person?", "What is your name, please?",
    "Is this really {name}?", "are you a bot", "What do you like for lunch?", "Am I talking to a real human?",
    "Who made you?", "Is anybody real in here?",
)  # fmt: skip
_ABOUT = (
    "What do you think about {topic}?", "Why do people like {topic}?", "How does one begin with {topic}?",
    "Do you enjoy {topic} yourself?", "What is the history of {topic}?", "Is {topic} worth the money?",
    "What would you tell a beginner about {topic}?", "Tell me your view.", "Who is best at {topic}?",
)  # fmt: skip


def written(user: str) -> tuple[str, str]:
    """(text, finish reason) for the last message of a chat."""
    luck = int(hashlib.sha256(user.encode()).hexdigest()[:8], 16)
    found = re.search(r"<text>\n(.*)\n</text>", user, re.DOTALL)
    if found is None:
        return _lines(user, luck), "stop"
    stretch = found.group(1)
    if "concise question" in user:
        return _question(stretch, luck), "stop"
    if "Write a title" in user:
        a, b = _subjects(stretch)
        return (f"On {a} and {b}" if luck % 5 else f'"The {a}"'), "stop"
    if luck % 24 == 5:
        return stretch[: len(stretch) // 2], "length"
    return _retold(stretch, luck % 24, notes="study notes" in user), "stop"


def _retold(stretch: str, luck: int, *, notes: bool) -> str:
    made = study_notes(stretch) if notes else plain_english(stretch)
    # The other way round: the words and facts stay, their order goes.
    parts = made.split("\n") if notes else re.split(r"(?<=[.!?]) ", made)
    good = ("\n" if notes else " ").join(reversed(parts))
    match luck:
        case 0:
            return f"Sure! Here is the rewritten text:\n\n{good}"
        case 1:
            return stretch
        case 2:
            return "The author says this. " + good
        case 3:
            return re.sub(r"\d", "", good)
        case 4:
            return " ".join(good.split()[:8])
        case 6:
            return GERMAN
        case 7:
            return ""
        case 8:
            return f'"{good}"'
        case 9:
            return f"{good} That was in 1999, with 3456 others."
        case 10:
            return "My dad told me about it. " + good
        case _:
            return good


def _question(stretch: str, luck: int) -> str:
    a, b = _subjects(stretch)
    question = _OPENINGS[luck // 24 % len(_OPENINGS)].format(a=a, b=b)
    match luck % 24:
        case 0:
            return f"What does the author say about {a} in the passage?"
        case 1:
            return f"“{question}”"
        case 2:
            return f"Tell me about {a}."
        case 3:
            return "Do you prefer pancakes or waffles?"
        case 4:
            return f"Certainly! {question}"
        case 5:
            return " ".join(stretch.split()[:16]) + "?"
        case _:
            return question


def _lines(user: str, luck: int) -> str:
    if topic := re.search(r"writer about (.*?): asking", user):
        templates, values = _ABOUT, {"topic": topic.group(1)}
    else:
        name = re.match(r"(.*?) is the name of a chat program", user)
        assert name, "a request that none of ours is"
        templates, values = _WHO, {"name": name.group(1)}
    chosen = [templates[(luck + number) % len(templates)] for number in range(8)]
    return "\n".join(f"{number}. {line.format(**values)}" for number, line in enumerate(chosen, 1))


def _subjects(stretch: str) -> tuple[str, str]:
    """Two of the longest words."""
    words = sorted(set(re.findall(r"\b[a-z]{5,}\b", stretch)), key=lambda word: (-len(word), word))
    first, second, *_rest = [*words, "fields", "weather"]
    return first, second
