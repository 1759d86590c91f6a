"""Whose fault a failure is, by its type: every type of the app has its place, and every place is of a type there is."""

import ast
import re
from pathlib import Path

from shared import errors
from shared.errors import MusterError
from shared.status import RunStatus, StepStatus
from shared.telemetry.faults import FAULT_DOMAINS, FaultDomain, fault_domain

ROOT = Path(__file__).parent.parent.parent.parent.parent
PLACED = frozenset().union(*FAULT_DOMAINS.values())


def error_classes() -> set[str]:
    roots = {"MusterError", "RetryableError", "TerminalError"}
    found = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, MusterError)}
    return found - roots


def app_source() -> list[ast.AST]:
    rooms = ("agents", "orchestrations", "shared")
    files = [path for room in rooms for path in sorted((ROOT / room).rglob("*.py")) if path.name != "faults.py"]
    return [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def types_of_error_infos() -> set[str]:
    """What the app writes as the `type` of an `ErrorInfo` in so many words."""
    return {
        str(keyword.value.value)
        for node in app_source()
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ErrorInfo"
        for keyword in node.keywords
        if keyword.arg == "type" and isinstance(keyword.value, ast.Constant)
    }


def test_every_error_of_the_app_has_a_domain() -> None:
    assert error_classes() - PLACED == set()


def test_every_type_that_the_app_writes_into_a_record_has_a_domain() -> None:
    assert len(types_of_error_infos()) > 10
    assert types_of_error_infos() - PLACED == set()


def test_no_type_has_two_domains() -> None:
    assert sum(map(len, FAULT_DOMAINS.values())) == len(PLACED)


def test_every_type_in_the_table_is_one_that_the_app_knows() -> None:
    words = {
        word for node in app_source() if isinstance(node, ast.Constant) for word in re.findall(r"\w+", str(node.value))
    }
    names = {node.name.lstrip("_") for node in app_source() if isinstance(node, ast.ClassDef)}
    statuses = {*map(str, RunStatus), *map(str, StepStatus)}
    assert PLACED - words - names - statuses == set()


def test_what_no_table_knows_is_the_agents_own() -> None:
    assert fault_domain("ZeroDivisionError") is FaultDomain.AGENT


def test_the_domain_is_of_who_can_mend_it() -> None:
    assert fault_domain("ModelRateLimited") is FaultDomain.MODEL
    assert fault_domain("BusUnavailable") is FaultDomain.BROKER
    assert fault_domain("InvalidMessage") is FaultDomain.INPUT
