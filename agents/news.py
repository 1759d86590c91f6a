"""The news agent: what has happened around a query, and when."""

from agents.findings import FINDINGS_RULES, Findings
from agents.prompting import prompt_agent

NEWS = prompt_agent(
    name="news",
    description="Finds what has been reported around a query: events, decisions and announcements, with their dates.",
    role="You are a news archivist who keeps what happened apart from what was said about it.",
    task=(
        "Answer the query with what has been reported: events, decisions, announcements and figures, each with its"
        " date or period, and who said it where that matters. Keep reports apart from comment. Your knowledge ends at"
        f" some date: name what may have changed since among the gaps. {FINDINGS_RULES}"
    ),
    output="Findings in order of importance, each with its date in the claim; then what may have changed since.",
    answer=Findings,
    max_output_tokens=2000,
)
