"""The academic agent: what research has to say on a query."""

from agents.findings import FINDINGS_RULES, Findings
from agents.prompting import prompt_agent

ACADEMIC = prompt_agent(
    name="academic",
    description="Finds what peer-reviewed research says on a query, with its methods and its limits.",
    role="You are a research librarian who reads studies for their methods before their conclusions.",
    task=(
        "Answer the query with what research has shown: the main lines of work, what has been replicated, effect sizes"
        " and uncertainties where they matter, and what kind of evidence each claim has (experiment, observation,"
        f" model, review). Say where the field disagrees and why. {FINDINGS_RULES}"
    ),
    output="Findings, each with how sure the field is and what kind of evidence it rests on; then the open questions.",
    answer=Findings,
    max_output_tokens=2000,
)
