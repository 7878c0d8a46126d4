"""Make an author's passage plain: the input side of rewrite samples, without any model.

In: a passage in the author's voice. Out: what somebody else might have typed to say the same: study
notes, or a school essay in short sentences and everyday words. Rules and one small table; the same
text always gives the same result.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from personae.corpus import sentences

# Elevated or dated words and the everyday ones a present-day writer would use.
PLAIN_WORDS = {
    "abundant": "plenty of", "accordingly": "so", "acquire": "get", "adequate": "enough",
    "adjacent": "nearby", "adopt": "take up", "afford": "give", "aforesaid": "", "aggregate": "total",
    "alike": "both", "altogether": "fully", "amongst": "among", "ample": "enough", "anew": "again",
    "animated": "moved", "apprehend": "fear", "apprehension": "fear", "ardent": "strong",
    "ascertain": "find out", "ascertained": "found out", "assemble": "meet", "assembled": "met",
    "assent": "agree", "assistance": "help", "attain": "reach", "attained": "reached",
    "augment": "increase", "augmented": "increased", "avail": "use", "befall": "happen to",
    "behold": "see", "bestow": "give", "bestowed": "gave", "betwixt": "between", "bounteous": "rich",
    "bountiful": "rich", "calamity": "disaster", "cease": "stop", "ceased": "stopped",
    "cherish": "love", "citizens": "people", "commence": "start", "commenced": "started",
    "commend": "recommend", "compel": "force", "compelled": "forced", "comprehend": "understand",
    "conceive": "think", "concur": "agree", "confer": "give", "conferred": "gave", "consent": "agree",
    "consequence": "result", "consequently": "so", "contend": "argue", "continuance": "staying",
    "deem": "think", "deemed": "thought", "demonstrate": "show", "demonstrated": "showed",
    "depart": "leave", "deprive": "rob", "derive": "get", "derived": "came", "desire": "want",
    "desirable": "good", "desirous": "eager", "despotism": "tyranny", "devise": "plan",
    "diminish": "cut", "diminished": "smaller", "discern": "see", "disclose": "show",
    "discontinue": "stop", "dispose": "settle", "duly": "", "dwell": "live", "earnest": "serious",
    "earnestly": "really", "effect": "result", "endeavor": "try", "endeavored": "tried",
    "endure": "last", "enjoin": "order", "ensue": "follow", "entirely": "fully", "ere": "before",
    "essential": "needed", "establish": "set up", "established": "set up", "esteem": "respect",
    "evident": "clear", "evil": "bad thing", "exceedingly": "very", "exertion": "effort",
    "exertions": "efforts", "expedient": "useful", "expenditure": "spending",
    "expenditures": "spending", "extinguish": "end", "facilitate": "help", "forbear": "hold back",
    "forthwith": "at once", "foster": "help", "furnish": "give", "furnished": "gave",
    "furthermore": "also", "grievous": "very bad", "hence": "so", "henceforth": "from now on",
    "herein": "here", "heretofore": "until now", "hereafter": "later", "herewith": "here",
    "hitherto": "until now", "immense": "huge", "imperative": "needed", "impose": "put",
    "inasmuch": "since", "incumbent": "required", "indispensable": "needed", "inhabitants": "people",
    "inquire": "ask", "insurgent": "rebel", "insurgents": "rebels", "insurrection": "revolt",
    "intelligence": "news", "iniquity": "wrong", "labor": "work", "laborer": "worker",
    "laborers": "workers", "lofty": "high", "maintain": "keep", "maintained": "kept",
    "manifest": "clear", "merely": "only", "moreover": "also", "multitude": "crowd", "nay": "no",
    "necessity": "need", "nevertheless": "still", "nigh": "near", "notwithstanding": "despite",
    "numerous": "many", "obtain": "get", "obtained": "got", "occasion": "time", "oppressed": "poor",
    "ought": "should", "patriotic": "loyal", "peril": "danger", "perilous": "dangerous",
    "permanent": "lasting", "permit": "let", "perpetual": "lasting", "pertaining": "about",
    "portion": "part", "possess": "have", "possessed": "had", "precisely": "exactly",
    "preeminently": "very", "preserve": "keep", "preserved": "kept", "principal": "main",
    "proceed": "go on", "proclaim": "say", "procure": "get", "prosperity": "wealth",
    "prosperous": "rich", "provided": "if", "prudent": "wise", "purchase": "buy", "purchased": "bought",
    "quarrel": "fight", "rebellion": "revolt", "receive": "get", "received": "got", "regard": "see",
    "remedy": "fix", "render": "make", "rendered": "made", "require": "need", "required": "needed",
    "requisite": "needed", "resolve": "decide", "respecting": "about", "retain": "keep",
    "righteous": "fair", "righteousness": "fairness", "scarcely": "hardly", "secure": "get",
    "sentiment": "feeling", "shall": "will", "slay": "kill", "sought": "tried", "sovereign": "ruler",
    "strife": "fighting", "subdue": "beat", "submit": "send", "submitted": "sent", "subsequent": "later",
    "subsequently": "later", "sufficient": "enough", "suppress": "put down", "surrender": "give up",
    "thereby": "so", "therefore": "so", "therein": "in it", "thereof": "of it", "thereto": "to it",
    "thereupon": "then", "thither": "there", "throughout": "across", "thus": "so", "toil": "work",
    "transmit": "send", "transmitted": "sent", "tribunal": "court", "unceasing": "steady",
    "undertake": "start", "unto": "to", "upon": "on", "utmost": "greatest", "utterly": "fully",
    "valor": "courage", "vast": "huge", "verily": "truly", "vigilance": "watch", "vigorous": "strong",
    "welfare": "good", "whatsoever": "any", "whence": "from where", "whereas": "while",
    "whereby": "by which", "wherein": "in which", "whilst": "while", "whither": "where",
    "wholly": "fully", "whosoever": "anyone", "wisdom": "sense", "withal": "also", "withhold": "keep",
    "yield": "give", "yonder": "that",
    "although": "though", "assist": "help", "began": "started", "begin": "start", "believe": "think",
    "children": "kids", "commerce": "trade", "concerning": "about", "difficult": "hard",
    "difficulty": "trouble", "employ": "use", "entire": "whole", "exceed": "go over",
    "great": "big", "increase": "rise", "men": "people", "nation": "country",
    "nations": "countries", "perhaps": "maybe", "recommend": "suggest", "regarding": "about",
    "remain": "stay", "several": "a few", "vessel": "ship", "vessels": "ships", "very": "really",
    "whether": "if",
}  # fmt: skip
_PLAIN_PHRASES = [
    (re.compile(rf"\b{phrase}\b", re.IGNORECASE), plain)
    for phrase, plain in (
        (r"in order to", "to"),
        (r"a great deal of", "a lot of"),
        (r"a (?:great|large|vast) number of", "lots of"),
        (r"(?:in|with) (?:regard|respect|relation|reference) to", "about"),
        (r"by means of", "with"),
        (r"in case of", "if there is"),
        (r"in spite of", "despite"),
        (r"so far as", "as far as"),
        (r"as well as", "and"),
        (r"ought to", "should"),
        (r"can ?not", "can't"),
        (r"(?:shall|will) not", "won't"),
        (r"(do|does|did|is|are|was|were|has|have|had|should|would|could) not", r"\1n't"),
        (r"(it|that|there|he|she|what) is", r"\1's"),
        (r"I am", "I'm"),
    )
]
_CONNECTIVES = re.compile(
    r"^(?:and|but|for|yet|so|or|then|indeed|moreover|furthermore|nevertheless|therefore|"
    r"accordingly|however|hence|thus|again|finally|of course|in fact|on the other hand|"
    r"at the same time|in addition|as a matter of fact)\b,?\s+",
    re.IGNORECASE,
)
# "only", "early", "family" and their like end in -ly and are no adverbs of manner.
_ADVERB = re.compile(
    r"\b(?!(?:only|early|daily|family|supply|reply|apply|July|Italy|rely|ally|holy|assembly|monopoly|"
    r"yearly|monthly|likely|friendly|orderly|costly|multiply|comply|imply|fly|ugly|anomaly)\b)"
    r"[a-z]{3,}ly\b,?\s?"
)
# A new short sentence may begin after these; a comma alone is too often inside a list.
_CLAUSE = re.compile(
    r"\s*(?:;|:|--|—)\s+"
    r"|,\s+(?=(?:and|but|for|while|yet|so|nor)\s+(?:\w+\s+){0,3}?"
    r"(?:is|are|was|were|has|have|had|will|would|shall|should|can|could|may|might|must|do|does)\b)"
)
_NOTE_WORDS = re.compile(
    r"\b(?:the|a|an|is|are|was|were|be|been|being|has|have|had|that|which|very|so|such|it|its|there|"
    r"of course|do|does|did)\s+",
    re.IGNORECASE,
)


def plain_english(text: str) -> str:
    """A school essay: one thought a sentence, no connectives, no adverbs of manner, everyday words."""
    plain = [_sentence(_simple(clause)) for clause in _clauses(text)]
    return " ".join(clause for clause in plain if clause)


def study_notes(text: str) -> str:
    """Bulleted notes: the clauses without articles, auxiliaries and end marks."""
    notes = []
    for clause in _clauses(text):
        short = _NOTE_WORDS.sub("", _simple(clause)).strip(" .,;:!?")
        if short:
            notes.append(f"- {short[0].lower()}{short[1:]}")
    return "\n".join(notes)


DEGRADERS: tuple[Callable[[str], str], ...] = (plain_english, study_notes)


def _clauses(text: str) -> list[str]:
    """Stretches that can stand alone; one under four words stays with the one before it."""
    found: list[str] = []
    for sentence in sentences(text):
        fresh = True
        for clause in _CLAUSE.split(sentence):
            clause = clause.strip(" ,")
            if not clause:
                continue
            if not fresh and clause.count(" ") < 3:
                found[-1] = f"{found[-1].rstrip('.')}, {clause}"
            else:
                found.append(clause)
            fresh = False
    return found


def _simple(clause: str) -> str:
    clause = _CONNECTIVES.sub("", clause.strip())
    clause = _ADVERB.sub("", clause)
    for phrase, plain in _PLAIN_PHRASES:
        clause = phrase.sub(plain, clause)
    words = [_plain_word(word) for word in clause.split()]
    return " ".join(word for word in words if word)


def _plain_word(word: str) -> str:
    match = re.fullmatch(r"([\"'“(]*)([A-Za-z]+)([^A-Za-z]*)", word)
    if match is None:
        return word
    before, core, after = match.groups()
    plain = PLAIN_WORDS.get(core.lower())
    if plain is None:
        return word
    if plain and core[0].isupper():
        plain = plain[0].upper() + plain[1:]
    return f"{before}{plain}{after}"


def _sentence(text: str) -> str:
    text = text.strip(" ,;:-")
    if not text:
        return ""
    end = "" if text[-1] in ".!?\"'”)" else "."
    return f"{text[0].upper()}{text[1:]}{end}"
