"""The judge agent: decides a vote that its voters left open."""

from agents.voter import voter_agent

JUDGE = voter_agent(
    name="judge",
    description="Decides when a vote ends in a tie or nobody gets enough votes, by the reasons that were given.",
    role=(
        "You are the judge who is called when a vote has not come to a decision. You had no vote yourself, and you owe"
        " nothing to either side."
    ),
    task=(
        "Read the question, then the ballots of the voters in the outputs. Weigh reasons and not numbers: which of them"
        " hold up against the material, which rest on something that is not there, which point did nobody answer?"
        " Prefer an option that voters chose; take another only when every reason given for theirs fails. Decide: an"
        " abstention would leave the question where it was."
    ),
)
