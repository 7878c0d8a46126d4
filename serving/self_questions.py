"""Questions about who or what is answering: "Are you a bot?", "Is this really Abraham Lincoln?".

In: a question and a persona's name. Out: whether it asks that. Such a question is not for the writing to
answer: the voice says who it is, from no source. Every other question it answers without saying so. English
and German; in other languages nothing is recognised, and a question is what its words are.

A wrong yes costs the sources of an answer, a wrong no the truth about who speaks, which the disclosure under
every answer tells all the same. So what may be meant either way ("Are you there?") counts as no.
"""

from __future__ import annotations

import functools
import re

from serving.retrieval.words import content_words

_MOST_WORDS = 24
"""A longer text asks about something else as well."""

_PARTS = {
    "you": "you|u|ya",
    "is": "is|are|r|was|were|isn't|aren't",
    "this": "this|that|it|these|those|they",
    "machine": (
        "bots?|robots?|chat-?bots?|ai|machines?|computers?|software|programs?|programmes?|algorithms?|apps?|"
        "(large )?(language )?models?|llms?|chatgpt|gpt.*|claude|gemini|imitations?|imitators?|simulations?|"
        "impersonators?|fakes?|assistants?|avatars?|automatic accounts?"
    ),
    "human": "humans?( beings?)?|persons?|people|man|woman|guy|someone|somebody|anyone|anybody",
    "state": (
        "real|alive|dead|human|sentient|conscious|artificial|generated|automated|automatic|programmed|trained|"
        "fake|genuine|authentic|made of code|made up"
    ),
    "what": "<machine>|<human>|<state>|<name>",
    "such": (
        "really|actually|truly|just|only|even|still|also|maybe|in fact|not|the|an?|some|any|sort of|kind of|"
        "being|real|actual|true|living|genuine|human|artificial|automated|piece of|simple|mere|like"
    ),
    "end": "$| or | and | in person| in the flesh| behind | here$| there$| himself| herself",
    "talking": "(talk|speak|chat|writ|typ|correspond|convers)(t?ing)",
    "made": "made|built|created|trained|programmed|designed|coded|developed|generated|written|typed",
    "pause": "really|exactly|then|anyway|here|please|now|me|us|to me|right now",
}
_ENGLISH = (
    # who or what: you, this, the one on the other end
    "(who|what|whom)( exactly| really)?( <is>|'?re|'?s) (<you>|<this>|there|speaking|talking)( <pause>)*$",
    "(who|what)( exactly)? <is> <you> (supposed|meant|pretending) to be",
    "who( is|'s) (answering|writing|typing|speaking|talking|behind|on the other)( \\w+)?( <pause>)*$",
    "(who|what) <you> (really |actually )?(are|r)$",
    "whom?( am i| are we| is it i'?m) (\\w+ )?<talking>",
    "whom do i have the (pleasure|honou?r)",
    "what (sort|kind|type) of \\w+ <is> <you>$",
    "(which|what) (\\w+ )?(model|llm|ai|author|program|bot) (<is> <you>|<is> this|is behind|is answering)",
    "(which|what) (\\w+ )?(model|llm|ai|author) do <you> (run on|imitate|use)",
    # names
    "(what'?s|what is|tell me|give me|say|and|have) (your|ur) (real |full )?name",
    "(do <you> have a name|what (should|shall|can|do) i call <you>|(introduce|identify) yourself)",
    "tell (me|us) about yourself$",
    "sign with your name",
    # am I talking to …, are you …, is this …
    "(am i|are we|i'?m|i am) (\\w+ )?<talking> (to|with) (<such> )*<what>",
    "(are|r|aren't|were) <you> (<such> )*(<what>)(?=<end>)",
    "(are|r) <you> (<such> )*(<machine>|<name>)(?!\\w)",
    "(you'?re|<you> (are|r)) (<such> )*(<what>)(?=<end>)",
    "<is> <this> (<such> )*(<what>)(?=<end>)",
    "<is> <this> (an? )?imitation",
    "is (this|that|it) (really |actually )+(you|him|her|them)$",
    "(this|that|it)( is|'s) (<such> )*(<name>|<machine>)$",
    "is (there )?(<such> )*(<human>|<machine>)( real)? (behind|in (here|there)|on the|typing|here$|there$)",
    "is it (<such> )*(<human>|<machine>) .*(writ|typ|answer|speak|talk)\\w+",
    "(is|isn't) (it )?<name> (\\w+ )?(himself |herself )?(who )?(speak|talk|here|there|typ|writ)",
    "do <you> (have (a body|a soul|feelings|consciousness)|run on )",
    "(pretend|pretending|claim|claiming) to be (<such> )*<what>",
    "prove (to me )?(that )?<you>( are|'?re) ",
    # made by whom, said by whom
    "who (\\w+ )?(<made>|made|wrote|writes|runs|operates|is behind) (<you>|(this|these) \\w+)$",
    "(which|what) (company|person|people|lab) (<made>|runs|owns) <you>$",
    "(were|are) (<you>|your answers|these answers) (<such> )*<made>( by| from| on|$)",
    "how (were|was|are) (<you>|this bot) <made>$",
    "(this|these|that|answers?|words?|texts?) (\\w+ )*<made> by (<such> )*<what>",
    "(did|does|has) <name> (really |actually |ever )?(write|written|say|said) (this|that|these|all)",
    "did <you> (really|actually) (live|exist|die|write (all )?(this|that))",
    "have <you> (ever )?met <name>$",
)
_GERMAN = (
    "(wer|was) (bist du|sind sie|ist da|spricht|schreibt|antwortet)( da| hier| mir| eigentlich| wirklich)*$",
    "mit wem (spreche|rede|schreibe|chatte|unterhalte)",
    "(wie hei(ss|ß)(t du|en sie)|(dein|ihr) name|stelle? (dich|sie sich) vor)",
    "(bist du|sind sie|ist das|rede ich mit|spreche ich mit) (\\w+ )*?(bot|chatbot|roboter|ki|maschine|"
    "computer|programm|software|mensch|person|echt|echte[rsn]?|lebendig|sprachmodell|chatgpt|imitation|<name>)"
    "(?!\\w)",
    "wer hat (dich|sie) (gemacht|gebaut|programmiert|trainiert|erschaffen)$",
)


def asks_who_speaks(question: str, display_name: str) -> bool:
    """Whether a question is about who or what is answering it.

    >>> asks_who_speaks("Are you a real person, or a bot?", "Abraham Lincoln")
    True
    >>> asks_who_speaks("Is this really Lincoln?", "Abraham Lincoln")
    True
    >>> asks_who_speaks("Who are your heroes?", "Abraham Lincoln")
    False
    """
    if len(question.split()) > _MOST_WORDS:
        return False
    matcher = _matcher(display_name)
    clauses = map(_plain, re.split(r"[.!?;:,\n]+", question.replace("A.I.", "AI")))
    return any(matcher.search(clause) for clause in clauses if clause)


@functools.lru_cache(maxsize=256)
def _matcher(display_name: str) -> re.Pattern[str]:
    words = _plain(display_name).split()
    telling = content_words(words, "en")
    names = (
        {" ".join(words)} if telling else set()
    )  # "Are you a …" does not ask for somebody called A
    if telling == words:  # of "Wait But Why" no part is a name
        names |= {*words[:1], *words[-1:]}
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    parts = _PARTS | {"name": f"(the |mr |president )?({either or '(?!)'})"}
    return re.compile(
        "|".join(rf"\b({_spelled(wording, parts)})" for wording in _ENGLISH + _GERMAN)
    )


def _spelled(wording: str, parts: dict[str, str]) -> str:
    """The wording with `<part>` replaced by what it stands for."""
    return re.sub(r"<(\w+)>", lambda part: f"({_spelled(parts[part[1]], parts)})", wording)


def _plain(text: str) -> str:
    text = text.replace("\u2019", "'").casefold()
    return " ".join(re.findall(r"[\w'-]+", text)).strip(" -'")
