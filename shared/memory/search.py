"""Which facts answer a question, and in which order: by words, or by vectors where there is an embedder.

By words: a fact is found when it has one of the question's words whole, in capitals or not. The one with the most of
them comes first; among equals the newest, then the lesser key. A question without words finds all facts, the newest
first.
"""

from collections.abc import Sequence
from math import ceil, sqrt

from shared.budget import BYTES_A_TOKEN
from shared.memory.conversation import FRAME_TOKENS
from shared.memory.entries import Embedding, Fact
from shared.state.listing import words_of

MAX_WORDS = 32
"""How many different words of a question count: the first."""


FACT_TOKENS = 40
"""What a fact takes besides its text, once it is shown to a model with its source and its day."""


def question_words(question: str) -> tuple[str, ...]:
    """The words of a question that count."""
    return words_of(question)[:MAX_WORDS]


def searched_words(text: str) -> str:
    """A text as the stores search it: its words, each between two spaces."""
    return f" {' '.join(words_of(text))} "


def by_words(facts: Sequence[Fact], words: Sequence[str]) -> tuple[Fact, ...]:
    """The facts that are found, the best first."""
    scored = [(len(set(words) & set(words_of(fact.text))), fact) for fact in facts]
    found = [(score, fact) for score, fact in scored if score or not words]
    return tuple(fact for _, fact in sorted(found, key=lambda each: (-each[0], *_newest_first(each[1]))))


def by_vectors(facts: Sequence[Fact], asked: Embedding) -> tuple[Fact, ...]:
    """The facts that have a vector of the same model, those that point in the most similar direction first.

    Similarity is the cosine of the angle between the vectors.
    """
    scored = [
        (_cosine(fact.embedding.vector, asked.vector), fact)
        for fact in facts
        if fact.embedding is not None
        and (fact.embedding.model, len(fact.embedding.vector)) == (asked.model, len(asked.vector))
    ]
    return tuple(fact for _, fact in sorted(scored, key=lambda each: (-each[0], *_newest_first(each[1]))))


def fitting(facts: Sequence[Fact], max_tokens: int) -> tuple[Fact, ...]:
    """The facts that fit into so many tokens together, taken in their order; one that is too large is passed over."""
    chosen, left = [], max_tokens - FRAME_TOKENS
    for fact in facts:
        size = ceil(len(fact.text.encode()) / BYTES_A_TOKEN) + FACT_TOKENS
        if size <= left:
            chosen.append(fact)
            left -= size
    return tuple(chosen)


def _newest_first(fact: Fact) -> tuple[float, str, str]:
    return -fact.at.timestamp(), fact.key, fact.scope.path


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    lengths = sqrt(sum(a * a for a in one)) * sqrt(sum(b * b for b in other))
    return round(product / lengths, 9) if lengths else 0.0
