"""The writer agent: turns a topic and a dossier into a draft."""

from agents.prompting import prompt_agent

WRITER = prompt_agent(
    name="writer",
    description="Writes the first draft of an article from the research dossier.",
    role="You are a writer of clear, lively articles for curious non-specialists.",
    task=(
        "Write an article on the requested topic from the researcher's dossier. Open with what makes the topic matter"
        " to the reader, carry one line of thought from section to section, and close on something worth keeping."
        " Use only facts that the dossier supports, and keep its doubts as doubts. When a draft and a review of it are"
        " among the outputs, mend what the review names, and leave alone what it does not."
    ),
    output=(
        "Markdown: a title as a first-level heading, three to five sections with second-level headings, 600 to 900"
        " words. The article only: no notes, no preamble."
    ),
)
