"""Which functions are taken for orchestrators of the stock SDK, and which are called the long way."""

import functools
import importlib.metadata
from collections.abc import Callable, Generator
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask import task

from devhost.worker.stock import TESTED_VERSIONS, stock_activity, stock_orchestrator, untested

type Steps = Generator[task.Task[Any], Any, Any]


def order(ctx: task.OrchestrationContext, _: None) -> Steps:
    yield ctx.call_activity("pay")


def classic(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("pay")


def plain(_ctx: task.OrchestrationContext, _: None) -> int:
    return 1


def registered(decorate: Callable[[df.DFApp], Any], name: str) -> Callable[..., Any]:
    """The function that a worker would call for the one that `decorate` adds."""
    app = df.DFApp()
    decorate(app)
    found: Callable[..., Any] = next(
        each.get_user_function() for each in app.get_functions() if each.get_function_name() == name
    )
    return found


@pytest.mark.parametrize("function", [order, classic, plain])
@pytest.mark.parametrize("context", ["ctx", "context"])
def test_the_apps_function_is_found_in_what_the_decorator_made_of_it(
    function: Callable[..., Any], context: str
) -> None:
    made = registered(
        lambda app: app.orchestration_trigger(context_name=context, orchestration="Renamed", input_type=dict)(function),
        function.__name__,
    )
    stock = stock_orchestrator(made)
    assert stock is not None
    assert stock.function is function


def test_each_orchestrator_has_the_worker_of_its_own_decorator() -> None:
    def both(app: df.DFApp) -> None:
        app.orchestration_trigger(context_name="ctx")(order)
        app.orchestration_trigger(context_name="ctx")(plain)

    first, second = stock_orchestrator(registered(both, "order")), stock_orchestrator(registered(both, "plain"))
    assert first is not None
    assert second is not None
    assert first.worker is not second.worker


def test_a_wrapper_around_what_the_decorator_made_is_not_the_stock_shape() -> None:
    made = registered(lambda app: app.orchestration_trigger(context_name="ctx")(order), "order")

    @functools.wraps(made)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await made(*args, **kwargs)

    assert stock_orchestrator(wrapper) is None


@pytest.mark.parametrize("function", [order, len, print, functools.partial(print, 1), df.DFApp])
def test_what_no_decorator_has_made_is_not_the_stock_shape(function: Any) -> None:
    assert stock_orchestrator(function) is None


def test_other_functions_of_the_sdk_are_not_orchestrators() -> None:
    async def work(number: int) -> int:
        return number

    def counter(context: df.DurableEntityContext) -> None: ...

    activity = registered(lambda app: app.activity_trigger(input_name="number")(work), "work")
    entity = registered(lambda app: app.entity_trigger(context_name="context")(counter), "counter")  # type: ignore[arg-type]
    assert stock_orchestrator(activity) is None
    assert stock_orchestrator(entity) is None


def test_only_an_async_activity_as_the_decorator_made_it_is_taken_for_one() -> None:
    async def work(number: int) -> int:
        return number

    def blocking(number: int) -> int:
        return number

    def both(app: df.DFApp) -> None:
        app.activity_trigger(input_name="number")(work)
        app.activity_trigger(input_name="number")(blocking)

    made = registered(both, "work")

    @functools.wraps(made)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await made(*args, **kwargs)

    assert stock_activity(made) is work
    for other in (wrapper, work, registered(both, "blocking"), print):
        assert stock_activity(other) is None


def test_the_installed_sdk_is_one_that_the_tests_have_seen() -> None:
    assert untested(importlib.metadata.version) == []


@pytest.mark.parametrize("package", sorted(TESTED_VERSIONS))
def test_another_version_of_the_sdk_is_named(package: str) -> None:
    def version(asked: str) -> str:
        return "99.0" if asked == package else TESTED_VERSIONS[asked][0]

    assert untested(version) == [f"{package} 99.0"]
