"""The words of a persona that nobody wrote: prompts, disclosure, refusal and description by template.

In: a draft. Out: texts; what the draft says itself wins. The prompts follow what training learned
(training/README.md): one plain sentence that says "imitation" first, then what to lean on, then the manner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personae.persona import RetrievalMode

if TYPE_CHECKING:
    from personae.persona_draft import PersonaDraft

_DESCRIPTION_CHARACTERS = 100
_LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
REFUSALS = {
    "en": "I have not written about that, so anything I said would be a guess.",
    "de": "Darüber habe ich nicht geschrieben; was ich dazu sagte, wäre geraten.",
    "es": "No he escrito sobre eso; lo que dijera sería una suposición.",
    "fr": "Je n'ai rien écrit là-dessus ; ce que j'en dirais serait une supposition.",
    "it": "Non ne ho scritto; quello che direi sarebbe una supposizione.",
    "nl": "Daarover heb ik niet geschreven; wat ik zou zeggen, zou een gok zijn.",
    "pt": "Não escrevi sobre isso; o que eu dissesse seria um palpite.",
}


def texts_of(draft: PersonaDraft) -> dict[str, str]:
    """The fields that templates fill: description, disclosure, refusal, ask_system, rewrite_system."""
    name = " ".join(draft.display_name.split()) or "…"
    made = {
        "description": _cut(
            f"Answers from the writing of {name}"
            if draft.kind == "author"
            else f"{name}, a character somebody made up",
        ),
        "disclosure": disclosure_of(draft),
        "refusal": REFUSALS.get(language_code(draft.language), REFUSALS["en"])
        if draft.kind == "author"
        else "Of that I know nothing, and would only be guessing.",
        "ask_system": _ask_system(draft, name),
        "rewrite_system": _rewrite_system(draft, name),
    }
    return {field: plain(getattr(draft, field) or "") or text for field, text in made.items()}


def disclosure_of(draft: PersonaDraft) -> str:
    what = "not the person" if draft.kind == "author" else "a character somebody made up"
    return f"An imitation of {' '.join(draft.display_name.split()) or '…'}, {what}."


def _ask_system(draft: PersonaDraft, name: str) -> str:
    language = _in_language(draft.language)
    if draft.kind == "character":
        return (
            f"You are an imitation of {name}, a character somebody made up. Answer as {name} would, in the "
            f"first person{language}, and keep to that voice.{_about(draft, name)}"
        )
    honest = "" if mode_of(draft) == "creative" else " Say so when they don't cover the question."
    return (
        f"You are an imitation of {name}. Answer in the voice of {name}, in the first person{language}, "
        f"from the passages of these writings.{honest}{_about(draft, name)}"
    )


def _rewrite_system(draft: PersonaDraft, name: str) -> str:
    would = "would say it" if draft.kind == "character" else "would have written it"
    return (
        f"Rewrite what you are given as {name} {would}{_in_language(draft.language)}. Keep to what it says."
        f"{_about(draft, name)}"
    )


def _about(draft: PersonaDraft, name: str) -> str:
    about = plain(draft.about)
    if not about:
        return ""
    if "\n" in about or draft.kind == "character":
        return f"\n\nAbout {name}:\n{about}"
    return f" Manner and subjects: {about}" + ("" if about[-1] in ".!?…" else ".")


def _in_language(language: str) -> str:
    code = language_code(language)
    return "" if code == "en" else f", in {_LANGUAGES.get(code, 'the language of the writings')}"


def plain(text: str) -> str:
    """With the line ends of one system, and none around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def language_code(language: str) -> str:
    return language.split("-")[0].split("_")[0].lower()


def mode_of(draft: PersonaDraft) -> RetrievalMode:
    return draft.mode or ("creative" if draft.kind == "character" else "adaptive")


def _cut(text: str) -> str:
    return (
        text if len(text) <= _DESCRIPTION_CHARACTERS else text[: _DESCRIPTION_CHARACTERS - 1] + "…"
    )
