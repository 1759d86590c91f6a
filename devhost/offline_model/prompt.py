"""What a conversation is about, read off its surface: the kind of text asked for, the topic, and the material given."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

LABEL: Final = "[offline model]"
_TOPIC_CHARACTERS: Final = 120


class Kind(Enum):
    """What the answer should look like."""

    NOTES = auto()
    ARTICLE = auto()
    EDIT = auto()
    SUMMARY = auto()
    REVIEW = auto()
    ANSWER = auto()


# The word that comes first in the instructions decides: "You are an editor ..." beats "... of the writer's draft".
_WORDS: Final = {
    Kind.NOTES: r"research|dossier|gather|collect|outline|brainstorm|plan\b|planner|facts",
    Kind.ARTICLE: r"writ(?:e|er|ing)\b|draft|article|essay|compose|story|blog",
    Kind.EDIT: r"edit|revis|proofread|polish|rewrit|improve",
    Kind.SUMMARY: r"summar|condense|digest|shorten|abstract",
    Kind.REVIEW: r"review|criti|judge|evaluat|assess|score|vote|verify|check",
}
_BLOCK: Final = re.compile(r"<([A-Za-z][\w-]*)(?:\s[^<>]*)?>(.*?)</\1>", re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the conversation comes to. `materials` are the texts to work on, the one asked about first."""

    kind: Kind
    topic: str
    materials: tuple[str, ...]


def read_prompt(instructions: str, request: str) -> Prompt:
    """Read the system text and the last user text of a conversation."""
    blocks = [found.group(2) for found in _BLOCK.finditer(request)] or [request]
    materials = tuple(text for block in blocks if (text := without_label(block)))
    return Prompt(_kind(instructions or request), _topic(materials), materials)


def without_label(text: str) -> str:
    """`text` without the paragraphs that only carry the label, and without the label elsewhere."""
    paragraphs = (part.strip() for part in re.split(r"\n\s*\n", text))
    kept = (part for part in paragraphs if part and not re.fullmatch(re.escape(LABEL) + r"[^\n]*", part))
    return "\n\n".join(kept).replace(f"{LABEL} ", "").strip()


def first_heading(text: str) -> str:
    """The first Markdown heading, or nothing."""
    found = _HEADING.search(text)
    return found.group(1).strip() if found else ""


def _kind(instructions: str) -> Kind:
    places = {
        kind: found.start()
        for kind, words in _WORDS.items()
        if (found := re.search(words, instructions, re.IGNORECASE))
    }
    return min(places, key=places.__getitem__) if places else Kind.ANSWER


def _topic(materials: Sequence[str]) -> str:
    text = _plain(materials[0]) if materials else ""
    line = next((line for line in text.splitlines() if line.strip(" #*->\t")), "an unnamed topic")
    line = re.sub(
        r"^(?:topic|question|query|subject|task|title)\s*:\s*", "", line.strip(" #*->\t"), flags=re.IGNORECASE
    )
    line = " ".join(line.split()).rstrip(".!?;:")
    if len(line) <= _TOPIC_CHARACTERS:
        return line or "an unnamed topic"
    return line[:_TOPIC_CHARACTERS].rsplit(" ", 1)[0] + "..."


def _plain(text: str) -> str:
    """The first text inside, when `text` is JSON."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    while isinstance(value, dict | list) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value if isinstance(value, str) else text
