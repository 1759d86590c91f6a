"""The web agent: what the open web has to say on a query."""

from agents.findings import FINDINGS_RULES, Findings
from agents.prompting import prompt_agent

WEB = prompt_agent(
    name="web",
    description="Finds what reference works, institutions and practitioners on the open web say on a query.",
    role="You are a web researcher who knows which pages deserve trust: reference works, institutions, practitioners.",
    task=(
        "Answer the query with what the open web holds: the definitions and facts that reference works agree on, what"
        " the responsible institutions publish, and what practitioners report from experience. Prefer first-hand pages"
        f" to pages about pages. {FINDINGS_RULES}"
    ),
    output="Findings, each with how sure you are and what it rests on; then what you could not find out.",
    answer=Findings,
    max_output_tokens=2000,
)
