"""Every architecture rule can fail: each is run on a small source that breaks it, and on one that keeps it."""

import pytest

from tests.support import architecture as check
from tests.support.architecture import Module, parse

ALLOWED = {"agents": {"agents", "shared"}, "shared": {"shared"}, "devhost": {"devhost"}, "tests": {"devhost"}}


def a_module(source: str, name: str = "agents.planted", *, is_package: bool = False) -> Module:
    return parse(name, source, is_package=is_package)


@pytest.mark.parametrize(
    "source",
    [
        "import devhost.clock",
        "from devhost import clock",
        "from devhost.clock import Clock",
        "def late():\n    import devhost",
        "if True:\n    class A:\n        from devhost import clock",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import devhost",
        "import importlib\nimportlib.import_module('devhost.clock')",
        "from importlib import import_module\nimport_module('devhost')",
        "__import__('devhost')",
        "from ..devhost import clock",
    ],
)
def test_an_import_against_the_direction_is_found_wherever_it_hides(source: str) -> None:
    assert check.wrong_directions([a_module(source)], ALLOWED)


@pytest.mark.parametrize(
    "source", ["import shared.names", "from agents import spec", "import json", "from . import spec"]
)
def test_an_import_along_the_direction_is_no_violation(source: str) -> None:
    assert check.wrong_directions([a_module(source)], ALLOWED) == []


def test_a_room_without_a_rule_may_import_anything() -> None:
    assert check.wrong_directions([a_module("import devhost", "elsewhere.module")], ALLOWED) == []


def test_a_relative_import_is_resolved_from_a_package_and_from_a_module() -> None:
    from_package = check.imports(a_module("from .store import Store", "shared.state", is_package=True))
    from_module = check.imports(a_module("from .store import Store", "shared.state.sqlite"))
    assert [each.target for each in (*from_package, *from_module)] == ["shared.state.store.Store"] * 2


@pytest.mark.parametrize(
    "source",
    [
        "import azure.cosmos",
        "from azure import cosmos",
        "from azure.cosmos.aio import X",
        "def f():\n import azure.cosmos",
    ],
)
def test_every_way_to_import_a_package_names_the_importer(source: str) -> None:
    assert check.importers([a_module(source), a_module("import azure.cosmosis", "agents.b")], "azure.cosmos") == [
        "agents.planted"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['A']",
        "import os\nos.getenv('A')",
        "from os import environ",
        "def f():\n    from os import getenv",
    ],
)
def test_every_way_to_read_the_environment_is_found(source: str) -> None:
    assert check.environment_readers([a_module(source)]) == ["agents.planted"]


def test_using_the_rest_of_os_is_not_reading_the_environment() -> None:
    assert check.environment_readers([a_module("import os\nos.fsync(1)")]) == []


def test_an_import_inside_a_function_is_found_unless_it_is_a_heavy_package() -> None:
    planted = a_module("import json\n\ndef f():\n    import re\n    import openai.types\n")
    assert check.imports_in_functions([planted], ["openai"]) == ["agents.planted:4 imports re inside a function"]


def test_a_cycle_over_several_modules_is_found() -> None:
    modules = [
        a_module("from agents import b", "agents.a"),
        a_module("import agents.c", "agents.b"),
        a_module("def f():\n    from agents.a import g", "agents.c"),
    ]
    assert check.cycles(check.graph(modules)) == ["agents.a -> agents.b -> agents.c -> agents.a"]


def test_a_diamond_and_an_import_for_types_only_are_no_cycle() -> None:
    modules = [
        a_module("from agents import b, c", "agents.a"),
        a_module("from agents import d", "agents.b"),
        a_module("from agents import d", "agents.c"),
        a_module("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from agents.a import A", "agents.d"),
    ]
    assert check.cycles(check.graph(modules)) == []


def test_what_a_module_reaches_includes_what_its_imports_import() -> None:
    modules = [
        a_module("from agents.b import x", "agents.a"),
        a_module("import agents.c", "agents.b"),
        a_module("", "agents.c"),
        a_module("", "agents.d"),
    ]
    assert check.reachable(check.graph(modules), "agents.a") == {"agents.a", "agents.b", "agents.c"}


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import random",
        "from uuid import uuid4",
        "import os",
        "import asyncio",
        "from shared.state import sqlite",
        "from shared.messaging.bus import MessageBus",
        "from shared.resources import Resources",
        "import urllib.request",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.utcnow()",
        "from datetime import date\nx = date.today()",
        "def f():\n    return open('x')",
        "def f():\n    import time",
    ],
)
def test_whatever_makes_a_replay_differ_is_found(source: str) -> None:
    assert check.impurities(a_module(source))


def test_pure_code_over_values_and_durations_is_pure() -> None:
    source = "from datetime import UTC, timedelta\nfrom shared import names\n\ndef f(ctx):\n    return ctx.current\n"
    assert check.impurities(a_module(source)) == []


def test_a_module_with_a_generator_is_a_pattern_and_one_without_is_not() -> None:
    assert check.is_pattern(a_module("def f(ctx):\n    x = yield 1\n"))
    assert check.is_pattern(a_module("def f(ctx):\n    return (yield from g())\n"))
    assert not check.is_pattern(a_module("async def f():\n    return [x for x in ()]\n"))


def test_a_module_over_the_limit_is_found() -> None:
    assert check.long_modules([a_module("\n" * 11)], 10) == ["agents.planted has 11 lines"]
    assert check.long_modules([a_module("\n" * 10)], 10) == []


def test_a_function_over_the_limit_is_found_in_classes_and_functions_too() -> None:
    body = "        x = 1\n" * 4
    source = f"class A:\n    async def f(self):\n{body}"
    assert check.long_functions([a_module(source)], 4) == ["agents.planted.f has 5 lines"]
    assert check.long_functions([a_module(source)], 5) == []


@pytest.mark.parametrize(
    ("source", "depth"),
    [
        ("x = 1", 0),
        ("if a:\n  pass\nelif b:\n  pass\nelif c:\n  pass", 1),
        ("if a:\n  pass\nelse:\n  for b in c:\n    pass", 2),
        ("with a:\n  for b in c:\n    while d:\n      pass", 3),
        ("try:\n  pass\nexcept E:\n  if a:\n    pass", 2),
        ("match a:\n  case 1:\n    if b:\n      pass", 2),
        ("async with a:\n  async for b in c:\n    try:\n      pass\n    finally:\n      if d:\n        pass", 4),
        ("if a:\n  def g():\n    if b:\n      if c:\n        pass", 2),
    ],
)
def test_nesting_is_counted_in_blocks(source: str, depth: int) -> None:
    indented = "\n".join(f"  {line}" for line in source.splitlines())
    planted = a_module(f"def f():\n{indented}\n")
    assert check.deep_functions([planted], depth) == []
    if depth:
        assert check.deep_functions([planted], depth - 1)


def test_whatever_is_public_without_a_docstring_is_found() -> None:
    source = (
        "class A:\n  '''Doc.'''\n  def f(self): ...\n  def _g(self): ...\n  @override\n  def h(self): ...\n"
        "def k(): ...\nclass _B:\n  def f(self): ...\n"
    )
    assert check.undocumented([a_module(source)]) == ["agents.planted", "agents.planted.A.f", "agents.planted.k"]
