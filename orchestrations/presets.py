"""Ready-made requests: a `preset` fills in what a request leaves out, and whatever is given beside it wins."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

MODERATION: Mapping[str, Any] = MappingProxyType(
    {
        "voters": ["moderator-policy", "moderator-context", "moderator-harm"],
        "options": ["allow", "review", "remove"],
        "aliases": {"allow": ["keep", "approve"], "review": ["escalate"], "remove": ["delete", "reject"]},
        "rule": "majority",
        "tie": "judge",
    }
)
"""Content moderation: three moderators who look at a post from different sides; a judge when they cannot agree."""

SUPPORT: Mapping[str, Any] = MappingProxyType(
    {"router": "router", "specialists": ["support-billing", "support-technical"], "max_passes": 4}
)
"""A support desk: a router, and a specialist each for billing and for what does not work."""

EDITORIAL: Mapping[str, Any] = MappingProxyType(
    {
        "workers": [
            {
                "pattern": "hierarchical",
                "name": "research",
                "manager": "research-manager",
                "workers": ["scraper", "paper-analyst"],
            },
            {
                "pattern": "hierarchical",
                "name": "content",
                "manager": "content-manager",
                "workers": ["writer", "editor"],
                "needs": {"editor": ["writer"]},
            },
        ],
        "needs": {"content": ["research"]},
    }
)
"""An editorial office: a research manager's dossier, from which a content manager has an article made."""


def filled_in(given: Any, presets: Mapping[str, Mapping[str, Any]]) -> Any:
    """`given` with what its preset says. Raises `ValueError` for one that there is not."""
    if not isinstance(given, dict) or given.get("preset") is None:
        return given
    chosen = given["preset"]
    if not isinstance(chosen, str) or chosen not in presets:
        raise ValueError(f"preset: there is only {' and '.join(presets)}")
    return {**presets[chosen], **given}
