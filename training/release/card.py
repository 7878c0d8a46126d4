"""The card that travels with an exported or pushed voice: what it is, and what may be done with it.

In: a persona, a version's manifest, the base model's licence. Out: README.md in the form the Hugging Face
hub reads (YAML head, Markdown body). The disclosure stands first, because whoever gets the files has no
other place to read it.
"""

from __future__ import annotations

import json

from personae.manifest import AdapterManifest
from personae.persona import Persona

CARD = "README.md"

_NO_RIGHTS = (
    "None are recorded. This voice is for trying on the machine that made it; do not pass it on."
)


def model_card(
    persona: Persona, manifest: AdapterManifest, *, base_licence: str, form: str, facts: list[str]
) -> str:
    """README.md of an export.

    Args:
        form: what lies beside the card ("Merged model, bfloat16 safetensors").
        facts: further lines about how it was made and checked.
    """
    lines = [
        "---",
        f"base_model: {json.dumps(manifest.base_model.id)}",
        f"language: {json.dumps(persona.language)}",
        "license: other",
        f"license_name: {json.dumps(_licence_name(persona, base_licence), ensure_ascii=False)}",
        "pipeline_tag: text-generation",
        "tags: [personae, lora]",
        "---",
        "",
        f"# {_plain(persona.display_name)}, {manifest.name}",
        "",
        f"**{_plain(persona.disclosure)}**",
        "",
        "It is a program that writes in a learned style. It can be wrong, and nothing it writes was "
        "said by the person. Show this to everybody who reads its answers.",
        "",
        "## What it is",
        "",
        f"- {form}",
        f"- Persona: {persona.id}, {manifest.name} ({manifest.content_sha256[:8]}), rank "
        f"{manifest.rank}, made {manifest.created_at}",
        f"- Base model: {manifest.base_model.id} (weights {manifest.base_model.weights_sha256[:8]})",
        f"- Publishing gate: {_plain(manifest.gate)}",
        *(f"- {fact}" for fact in facts),
        "",
        "## Prompts it was trained with",
        "",
        "Answering:",
        "",
        f"> {_plain(persona.ask.system)}",
        "",
        "Rewriting:",
        "",
        f"> {_plain(persona.rewrite.system)}",
        "",
        "## Rights",
        "",
        f"- Base model: {_plain(base_licence)}",
        *_rights(persona),
        "",
    ]
    return "\n".join(lines)


def _licence_name(persona: Persona, base_licence: str) -> str:
    corpus = persona.rights.licence if persona.rights and persona.rights.licence else "see below"
    return f"base model: {_plain(base_licence)}; corpus: {_plain(corpus)}"


def _rights(persona: Persona) -> list[str]:
    rights = persona.rights
    if rights is None:
        return [f"- Corpus: {_NO_RIGHTS}"]
    lines = [f"- Corpus: {_plain(rights.owner)}"]
    if rights.licence:
        lines.append(f"- Licence of the corpus: {_plain(rights.licence)}")
    if rights.consent:
        lines.append(f"- Consent: {_plain(rights.consent)}")
    return [*lines, f"- {_plain(rights.statement)}"]


def _plain(text: str) -> str:
    """One line: a persona file's line breaks must not end a list, a quote or the YAML head."""
    return " ".join(text.split())
