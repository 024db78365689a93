"""The notes of an answer (`degraded`) as sentences that a stranger understands."""

from lorgnette.people_text import translated
from page.words import Language

ABOUT = {
    "model": "The model", "plan": "The plan", "review": "The check", "knowledge base": "Your documents",
    "session": "This conversation", "pictures": "The pictures", "answer": "The answer", "citation": "A citation",
    "adapter": "The adapter", "search": "The search", "result": "The result",
}  # fmt: skip
"""What the word in front of a note is about."""


def as_sentence(note: str, language: Language) -> str:
    """Return a note as a sentence: what it is about, and what there is to know."""
    if language == "zh" and (chinese := translated(note)) != note:
        return chinese if chinese.endswith("。") else f"{chinese}。"
    area, colon, rest = note.partition(": ")
    about = ABOUT.get(area)
    text = f"{about}: {rest}" if colon and about else note[:1].upper() + note[1:]
    return text if text.endswith((".", "!", "?", "`")) else f"{text}."
