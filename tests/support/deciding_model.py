"""A chat model that answers votes, conversations and reviews as a test wants: each agent by a script of its own."""

import json
from collections import defaultdict
from typing import Any

from tests.support.chat_model import ChatModel

# Words in an agent's system prompt that are in no other's.
_KNOWN_BY = {
    "moderator-policy": "its written rules are",
    "moderator-context": "reads a post as its readers",
    "moderator-harm": "the people behind the screen",
    "judge": "You are the judge",
    "router": "the first to answer at a support desk",
    "support-billing": "the billing specialist",
    "support-technical": "the technical specialist",
    "reviewer": "demanding and fair reviewer",
    "writer": "a writer of clear",
    "editor": "the editor who has the last word",
    "planner": "You plan the work of a team",
    "research-manager": "You manage a small research group",
    "content-manager": "You run the desk of a magazine",
    "scraper": "You pull facts out of web pages",
    "paper-analyst": "You read scientific papers",
    "analyst": "You are a data analyst",
    "notifier": "You write the notifications",
}


class DecidingModel(ChatModel):
    """`says` maps an agent to its answers, the last of which it repeats; `calls` counts what each agent asked."""

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, list[Any]] = {}
        self.calls: defaultdict[str, int] = defaultdict(int)

    def say(self, asked: dict[str, Any]) -> str:
        """The next answer of whoever asks."""
        system = asked["messages"][0]["content"]
        agent = next((name for name, words in _KNOWN_BY.items() if words in system), "?")
        self.calls[agent] += 1
        answers = self.says.get(agent, ["An answer."])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, str) else json.dumps(answer)

    def begin(self, **says: Any) -> None:
        """Forget what was asked, and answer so from now on; names have `_` for `-`, and one answer needs no list."""
        self.requests.clear()
        self.calls.clear()
        self.says = {
            name.replace("_", "-"): list(answer) if isinstance(answer, list) else [answer]
            for name, answer in says.items()
        }
