"""Faults of models, of agents and of the clock, on the whole local host with the real `openai` client.

The tests are `*_test.py` beside this file. They run in a process of their own, with one host for all of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.child_suite import names_in, run_suite

SUITE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Sequence[str]]:
    return run_suite(SUITE)


@pytest.mark.parametrize("name", names_in(SUITE))
def test_what_is_promised_when_a_model_an_agent_or_the_clock_misbehaves(
    outcomes: Mapping[str, Sequence[str]], name: str
) -> None:
    assert outcomes[name] == []
