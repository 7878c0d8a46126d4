"""What a passage is about, in words a person would ask with: "the public lands", "the navy".

In: passages. Out: for each, a few noun phrases, the most telling first. No tagger: a phrase counts
where grammar betrays it, after an article or preposition and before a mark or a small word, and it
is weighed by how rare it is in the corpus (tf-idf).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_PHRASE = re.compile(
    r"\b(?:of|in|by|for|with|upon|on|our|from|against|and|between|over|under)\s+"
    r"(the\s+|our\s+)?((?:[a-z]{3,}\s+){0,1}[a-z]{4,})"
    r"(?=[,.;:?!]|\s+(?:of|in|is|are|was|were|and|or|to|by|which|that|has|have|had|for|from|shall|should|"
    r"must|will|can|may|on|upon|with|as|at)\b)"
)
# Words too common to ask about, in any corpus or in those of speeches.
_COMMON = (
    "about above according account action addition advantage affairs after again against aggregate all "
    "almost alone also although always amount another answer any attention average back basis because "
    "become been before being believe below best better between beyond body both bring called cannot care "
    "case cases cause certain chance change character chief circumstances class close common condition "
    "conditions connection consequence consideration considered could course date days deal degree desire "
    "different difficulty direction does doing done doubt down duty each effect effort eight either else end "
    "enough entire equally especially even ever every evil example except exist existing expected express "
    "extent fact facts fair far favor few fifty first fiscal five following force form former forty found "
    "four from full fully further general give given going good great greater greatest ground half hand "
    "hands have heart held help here high himself hold honor hope however hundred ideal immediate "
    "importance important increase indeed instance instances interest interests into itself just keep kind "
    "kinds know known large larger largest last late latter least leave left less like limit line little "
    "long longer made main make making manner many mass matter matters mean means measure measures "
    "men merely might mind moment more most much must myself namely nature near nearly necessary need needs "
    "neither never next nine nothing number object obvious occasion once only opinion order orders other "
    "others otherwise ours part particular past perhaps period persons place point points portion position "
    "possible power practically present principle proper purpose purposes question questions quite rather "
    "reason reasons regard report required respect result results right same second sense seven several "
    "shall short should side similar simple since single six small some something soon sort special spirit "
    "stage standpoint state step still strong subject such sufficient system take taken ten tend terms than "
    "that their them themselves then there these they thing things think third this those though thousand "
    "three through throughout thus time times together total toward true twenty two type under unless until "
    "upon upward used utmost various very view want ways well were what whatever when where whether which "
    "while whole whom whose will wise wish with within without word words work working world would year "
    "years your people country nation government congress united states secretary department attention "
    "december november october september august july june april march february january message "
    "recommendation appropriation million millions thousands dollars cents "
    "aforesaid said upon now not own its therefore put paid forward ones face serve continue cease money "
    "vital economic president administrative"
)
_NO_TOPIC = frozenset(_COMMON.split())

_NO_NOUN = ("ly", "ed", "ing", "ble", "ful", "ous", "ive", "less")


def topics_of(texts: Sequence[str], *, most: int = 4) -> list[list[str]]:
    """The telling noun phrases of each text, best first, at most `most` (sometimes none).

    A phrase's weight is tf · log(n / df + 1), with df at least 2: a phrase used once is often an
    accident. Two-word phrases count half as much again, because they say more.
    """
    found = [_phrases(text) for text in texts]
    seen_in = Counter(core for phrases in found for core in phrases)
    topics = []
    for phrases in found:
        weights = {
            core: count
            * math.log(len(texts) / max(2, seen_in[core]) + 1)
            * (1.5 if " " in core else 1.0)
            for core, (count, _shown) in phrases.items()
        }
        best = sorted(weights, key=lambda core: (-weights[core], core))
        chosen: list[str] = []
        for core in best:
            if not any(core in other or other in core for other in chosen):
                chosen.append(core)
        topics.append([phrases[core][1] for core in chosen[:most]])
    return topics


def _phrases(text: str) -> dict[str, tuple[int, str]]:
    """{phrase: (how often, the phrase as asked, with its article)}."""
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for match in _PHRASE.finditer(text):
        words = match.group(2).split()
        if words[-1] in _NO_TOPIC or words[-1].endswith(_NO_NOUN):
            continue
        if words[0] in _NO_TOPIC or words[0].endswith(("ly", "ing")):
            words, article = words[-1:], ""
        else:
            article = "the " if match.group(1) else ""
        core = " ".join(words)
        counts[core] += 1
        shown.setdefault(core, f"{article}{core}")
    return {core: (counts[core], shown[core]) for core in counts}
