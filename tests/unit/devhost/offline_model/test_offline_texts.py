import pytest

from devhost.offline_model.prompt import LABEL, Kind, read_prompt, without_label
from devhost.offline_model.text import answer_text


@pytest.mark.parametrize(
    ("instructions", "kind"),
    [
        ("You are a researcher who prepares dossiers for writers.", Kind.NOTES),
        ("Make an outline of the article.", Kind.NOTES),
        ("You are a writer. Use the researcher's dossier.", Kind.ARTICLE),
        ("You are the editor. Edit the writer's draft.", Kind.EDIT),
        ("Summarize the text.", Kind.SUMMARY),
        ("You are a critic. Evaluate the draft.", Kind.REVIEW),
        ("You are a helpful assistant.", Kind.ANSWER),
    ],
)
def test_the_first_telling_word_of_the_instructions_decides_what_is_written(instructions: str, kind: Kind) -> None:
    assert read_prompt(instructions, "bees").kind is kind


@pytest.mark.parametrize(
    ("request_text", "topic"),
    [
        ("Why bees dance?", "Why bees dance"),
        ("\n# Topic: Bees\nmore", "Bees"),
        ('{"topic": "Bees", "words": 3}', "Bees"),
        ("<request>\nBees\n</request>\n<output>x</output>", "Bees"),
        ("", "an unnamed topic"),
        ("   ", "an unnamed topic"),
        ("word " * 100, "word " * 23 + "word..."),
    ],
)
def test_the_topic_is_the_first_thing_asked_for(request_text: str, topic: str) -> None:
    assert read_prompt("", request_text).topic == topic


@pytest.mark.parametrize("kind_words", ["research", "write", "edit", "summarize", "review", "help"])
def test_every_text_begins_with_the_label_and_is_the_same_every_time(kind_words: str) -> None:
    prompt = read_prompt(f"Please {kind_words}.", "Bees")
    assert answer_text(prompt).startswith(LABEL)
    assert answer_text(prompt) == answer_text(read_prompt(f"Please {kind_words}.", "Bees"))


def test_texts_on_different_topics_differ() -> None:
    texts = {answer_text(read_prompt("write", topic)) for topic in ("bees", "tides", "bread", "glass")}
    assert len(texts) == 4


def test_an_edit_gives_back_the_draft_tightened_and_labelled_once() -> None:
    draft = answer_text(read_prompt("write", "Bees"))
    edited = answer_text(read_prompt("edit", f"<request>Bees</request><output>{draft}</output>"))
    assert edited.count(LABEL) == 1
    assert "# Bees" in edited
    assert "very" not in edited
    assert len(edited) > len(draft) // 2


def test_an_article_takes_up_the_points_of_the_notes() -> None:
    article = answer_text(read_prompt("write", "<request>Bees</request><output>- They dance in the dark.</output>"))
    assert "They dance in the dark." in article


def test_a_label_is_taken_off_what_comes_in() -> None:
    assert (
        without_label(f"{LABEL} a notice\n\n{LABEL} kept text follows\nhere\n\nlast")
        == "kept text follows\nhere\n\nlast"
    )
