"""How facts are ranked: by how many of the question's words they have, or by how similar their vectors are."""

from shared.memory.conversation import FRAME_TOKENS
from shared.memory.entries import Embedding, Fact, Scope
from shared.memory.search import FACT_TOKENS, MAX_WORDS, by_vectors, by_words, fitting, question_words
from tests.support.memories import a_fact

SALT = a_fact("Sea salt comes from rivers", at=1)
SEA = a_fact("The sea is deep", at=2)
SNOW = a_fact("Snow is white", at=3)


def test_the_fact_with_most_of_the_words_comes_first() -> None:
    assert by_words([SEA, SNOW, SALT], question_words("salt, sea; RIVERS?")) == (SALT, SEA)


def test_among_equals_the_newest_comes_first_and_then_the_lesser_key() -> None:
    one, two = a_fact("sea", key="1", at=5), a_fact("sea", key="2", at=5)
    assert by_words([two, SEA, one], ("sea",)) == (one, two, SEA)


def test_a_word_counts_once_however_often_it_is_there() -> None:
    often = a_fact("sea sea sea")
    assert by_words([often, SALT], question_words("sea sea salt")) == (SALT, often)


def test_no_words_find_everything_and_the_newest_first() -> None:
    assert by_words([SALT, SNOW, SEA], ()) == (SNOW, SEA, SALT)


def test_a_long_question_counts_by_its_first_words() -> None:
    words = question_words(" ".join(f"w{number}" for number in range(1000)))
    assert words == tuple(f"w{number}" for number in range(MAX_WORDS))


def test_facts_that_fit_are_kept_in_their_order_and_one_too_large_is_passed_over() -> None:
    size = FACT_TOKENS + 2
    facts = [a_fact("abc"), a_fact("long " * 100), a_fact("def"), a_fact("ghi")]
    assert fitting(facts, FRAME_TOKENS + 2 * size) == (facts[0], facts[2])
    assert fitting(facts, FRAME_TOKENS + size - 1) == ()
    assert fitting(facts, 10_000) == tuple(facts)


def vector(fact: Fact, *numbers: float, model: str = "m") -> Fact:
    return fact.model_copy(update={"embedding": Embedding(model=model, vector=numbers)})


def test_by_vectors_the_most_similar_direction_comes_first_whatever_its_length() -> None:
    far, near, same = vector(SALT, -1.0, 0.0), vector(SEA, 1.0, 1.0), vector(SNOW, 0.0, 0.1)
    assert by_vectors([far, near, same], Embedding(model="m", vector=(0.0, 7.0))) == (same, near, far)


def test_by_vectors_what_cannot_be_compared_is_not_found() -> None:
    facts = [SALT, vector(SEA, 1.0, 0.0, model="other"), vector(SNOW, 1.0, 0.0, 0.0)]
    assert by_vectors(facts, Embedding(model="m", vector=(1.0, 0.0))) == ()


def test_a_vector_without_a_direction_is_similar_to_nothing() -> None:
    zero, away = vector(SALT, 0.0, 0.0), vector(SEA, 1.0, 0.0)
    assert by_vectors([zero, away], Embedding(model="m", vector=(1.0, 0.0))) == (away, zero)


def test_the_scopes_break_the_last_tie() -> None:
    other = a_fact("sea", key="k", scope=Scope(tenant="acme", agent="research"))
    shared = a_fact("sea", key="k")
    assert by_words([shared, other], ()) == by_words([other, shared], ()) == (other, shared)
