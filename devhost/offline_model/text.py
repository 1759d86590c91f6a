"""The texts: notes, an article, an edit and so on, put together from fixed sentences, the topic and the material given.

Which of several sentences is used follows from a digest of the prompt, so that topics differ and repetitions do not.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from devhost.offline_model.prompt import LABEL, Kind, Prompt, first_heading

NOTICE: Final = f"{LABEL} No model was asked: this text was put together from fixed sentences and your prompt."

_OPENINGS: Final = (
    "Most people meet {topic} long before they have a name for it.",
    "It is easy to have an opinion on {topic}, and harder to say what it rests on.",
    "Ask three people about {topic} and you will hear three beginnings of the same story.",
)
_CONTEXTS: Final = (
    "What is new is less the thing itself than how many decisions now depend on it.",
    "The question is older than it looks, and the earlier answers still shape what is possible.",
    "Two things are true at once: the basics are settled, and the details are not.",
)
_GROUND: Final = "The ground can really be walked in an afternoon, and it is very well worth doing so slowly."
_PRACTICE: Final = (
    "In practice the first step is quite small: choose one case, look at it closely, and write down what was expected.",
    "Those who do it really well simply start from a single example and change one thing at a time.",
    "A very good test is to explain it to someone who does not need it, and to see where the explanation slows down.",
)
_LIMITS: Final = (
    "Not everything can be answered yet. Costs are known only for the simple cases, and the others are estimates.",
    "Some doubts remain, and they are worth keeping: what works at one scale need not work at another.",
    "The evidence is uneven, and an honest account says where it ends.",
)
_CLOSINGS: Final = (
    "If one thought is worth taking along, it is that {topic} rewards those who look twice.",
    "The best reason to care about {topic} may be the plainest: it concerns people who never asked for it.",
    "What to do next is a smaller question than it seems: begin, measure, and begin again.",
)


def answer_text(prompt: Prompt) -> str:
    """The answer to `prompt`: Markdown that begins with the label."""
    return f"{NOTICE}\n\n{_WRITERS[prompt.kind](prompt)}"


def _notes(prompt: Prompt) -> str:
    topic = f'"{prompt.topic}"'
    return "\n".join(
        [
            f"## Summary\n{_pick(_CONTEXTS, prompt, 1)} These notes say what a text on {topic} has to cover.",
            f"\n## Key facts\n- {topic} can be told by who takes part, what it costs, and what it changes.",
            "- The well-established part is small and can be stated in a paragraph.",
            "- Figures differ between sources mostly because they count different things.",
            "\n## Viewpoints\n- One side stresses what is gained early, the other what is paid late.",
            "- Both agree that the simple cases should come first.",
            f"\n## Open questions\n- Which part of {topic} would look different in ten years?",
            "- Who decides, and how would anyone notice a wrong decision?",
        ]
    )


def _article(prompt: Prompt) -> str:
    topic = f'"{prompt.topic}"'
    points = _points(prompt.materials[1:])
    middle = "\n".join(f"- {point}" for point in points[:4])
    known = f"\n\nThe material at hand puts it in these points:\n\n{middle}" if middle else ""
    return "\n\n".join(
        [
            f"# {_title(prompt.topic)}",
            f"{_pick(_OPENINGS, prompt, 2).format(topic=topic)} {_pick(_CONTEXTS, prompt, 3)}",
            f"## What is known\n\n{_GROUND}{known}",
            f"## What it means in practice\n\n{_pick(_PRACTICE, prompt, 4)}",
            f"## Where the doubts are\n\n{_pick(_LIMITS, prompt, 5)}",
            f"## What remains\n\n{_pick(_CLOSINGS, prompt, 6).format(topic=topic)}",
        ]
    )


def _edit(prompt: Prompt) -> str:
    drafts = [text for text in prompt.materials if first_heading(text)] or list(prompt.materials[-1:])
    draft = drafts[-1] if drafts else f"# {_title(prompt.topic)}"
    tightened = re.sub(r"[ \t]+", " ", re.sub(r"\n{3,}", "\n\n", draft))
    return re.sub(r"\b(very|really|quite|basically|simply) ", "", tightened).strip()


def _summary(prompt: Prompt) -> str:
    points = _points(prompt.materials) or (prompt.topic,)
    return f"In short, on '{prompt.topic}':\n\n" + "\n".join(f"- {point}" for point in points[:5])


def _review(prompt: Prompt) -> str:
    words = sum(len(text.split()) for text in prompt.materials)
    return (
        f"Review of '{prompt.topic}' ({words} words read).\n\n- The line of thought can be followed to its end.\n"
        "- The strongest part is its structure; the weakest is that its claims carry no sources.\n"
        "- Recommendation: accept, with the claims marked as unproven."
    )


def _answer(prompt: Prompt) -> str:
    return (
        f'On "{prompt.topic}": {_pick(_CONTEXTS, prompt, 7)} {_pick(_PRACTICE, prompt, 8)} {_pick(_LIMITS, prompt, 9)}'
    )


_WRITERS: Final = {
    Kind.NOTES: _notes,
    Kind.ARTICLE: _article,
    Kind.EDIT: _edit,
    Kind.SUMMARY: _summary,
    Kind.REVIEW: _review,
    Kind.ANSWER: _answer,
}


def _pick(choices: Sequence[str], prompt: Prompt, place: int) -> str:
    digest = hashlib.sha256(f"{place}\n{prompt.topic}".encode()).digest()
    return choices[digest[0] % len(choices)]


def _points(materials: Sequence[str]) -> tuple[str, ...]:
    """The bullet points in the material, or else the first sentence of each of its paragraphs."""
    lines = [line.strip() for text in materials for line in text.splitlines()]
    bullets = [line[2:].strip() for line in lines if line.startswith(("- ", "* "))]
    sentences = [re.split(r"(?<=[.!?])\s", line)[0] for line in lines if line and not line.startswith("#")]
    return tuple(dict.fromkeys(bullets or sentences))


def _title(topic: str) -> str:
    return topic[:1].upper() + topic[1:]
