"""Recognises what the stock Durable SDK's decorators made, and finds the app's own function in it.

The worker calls such an orchestrator with base64 text and gets base64 text back. One that is recognised can be run with
the same SDK code and without the text. The recognition asks for SDK versions that the tests have seen, and for the very
code that the decorator makes of a function: anything else is called as the worker would.
"""

import importlib.metadata
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import CodeType, FunctionType
from typing import Any, Final

import azure.durable_functions as df
from azure.durable_functions.worker import DurableFunctionsWorker

_log = logging.getLogger(__name__)

TESTED_VERSIONS: Final = {"durabletask": ("1.12.0",), "azure-functions-durable": ("2.0.0rc3",)}


@dataclass(frozen=True, slots=True, eq=False)
class StockOrchestrator:
    """An orchestrator as the app wrote it, and the SDK's worker that runs it."""

    function: Callable[..., Any]
    worker: DurableFunctionsWorker


def stock_orchestrator(registered: Callable[..., Any]) -> StockOrchestrator | None:
    """The app's orchestrator in the function that the worker has registered; None when it is not of the stock shape."""
    handle = _wrapped(registered)
    if handle is None or not _sdk_is_tested() or _codes(registered) != _stock_codes():
        return None
    held = dict(zip(handle.__code__.co_freevars, handle.__closure__ or (), strict=True))
    function, worker = held["orchestrator_func"].cell_contents, held["worker"].cell_contents
    if type(worker) is not DurableFunctionsWorker or not callable(function):
        return None
    return StockOrchestrator(function, worker)


def stock_activity(registered: Callable[..., Any]) -> Callable[..., Any] | None:
    """The app's async activity in the function that the worker has registered; None when not of the stock shape."""
    inner = getattr(registered, "__wrapped__", None)
    if not callable(inner) or not isinstance(registered, FunctionType) or not _sdk_is_tested():
        return None
    # The decorator gives each function's copy of the code the name of the app's file.
    same = registered.__code__.replace(co_filename="") == _activity_code()
    return inner if same else None


def untested(version: Callable[[str], str]) -> list[str]:
    """The packages of the SDK, with their versions, that this host is not tested with."""
    versions = {package: version(package) for package in TESTED_VERSIONS}
    return [f"{package} {found}" for package, found in versions.items() if found not in TESTED_VERSIONS[package]]


@cache
def _sdk_is_tested() -> bool:
    strange = untested(importlib.metadata.version)
    if strange:
        _log.info("orchestrators are run the long way: this host is not tested with %s", " and ".join(strange))
    return not strange


@cache
def _stock_codes() -> tuple[CodeType, CodeType] | None:
    """What the decorator makes of an orchestrator, seen on one made here."""

    def probe(context: Any, _input: Any) -> None: ...

    builder = df.Blueprint().orchestration_trigger(context_name="context")(probe)
    # An app would build it, and warn of what this one lacks.
    return _codes(builder._function.get_user_function())  # noqa: SLF001


@cache
def _activity_code() -> CodeType:
    """What the decorator makes of an async activity, but for its file's name."""

    async def probe(value: Any) -> None: ...

    builder = df.Blueprint().activity_trigger(input_name="value")(probe)
    code: CodeType = builder._function.get_user_function().__code__  # noqa: SLF001
    return code.replace(co_filename="")


def _codes(registered: Callable[..., Any]) -> tuple[CodeType, CodeType] | None:
    """The code of the registered function and of the one it wraps; every function of one decorator shares them."""
    handle = _wrapped(registered)
    if handle is None or not isinstance(registered, FunctionType):
        return None
    return registered.__code__, handle.__code__


def _wrapped(registered: Callable[..., Any]) -> FunctionType | None:
    handle = getattr(registered, "__wrapped__", None)
    return handle if isinstance(handle, FunctionType) else None
