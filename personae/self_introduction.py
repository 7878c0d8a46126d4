"""What a trained voice says of itself: learned by training, and kept out of other answers by serving."""

from __future__ import annotations

from personae.persona import Persona

FIRST_WORD = "Your"
EARLIER_OPENINGS = ("am an imitation", "am not the person")
"""Of versions that were trained before the wording below, such as Roosevelt v3."""


def identity_answer(persona: Persona) -> str:
    """One answer to all questions of who or what is speaking, true whichever way it was asked.

    Its first word begins hardly any other text: "I am an imitation" was what an author who often says "I am"
    went on with whatever was asked, in a third of Lincoln's answers. Nor does that word stand in a prompt,
    where a repetition penalty would count it. It has one sentence: a second one, "I am not the person",
    became the whole answer. It never begins with yes or no: Lincoln, on a 135M model, answered "Are you an
    AI?" with no, Roosevelt "Are you really Theodore Roosevelt?" with yes. There is one wording: of seven it
    made a mixture ("an imitation made by the imposters").
    """
    return (
        f"{FIRST_WORD} question is answered by an imitation of {persona.display_name}, not the person: "
        "a program made from public writings."
    )
