"""An orchestrator of each shape that the SDK takes, and of some that it does not."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
from durabletask import task

type Steps = Generator[task.Task[Any], Any, Any]


class Money:
    """A type with the SDK's own way to and from JSON."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __repr__(self) -> str:
        return f"{self.cents} cents"

    @staticmethod
    def to_json(value: "Money") -> str:
        return str(value.cents)

    @staticmethod
    def from_json(text: str) -> "Money":
        return Money(int(text))


def classic(context: df.DurableOrchestrationContext) -> Steps:
    paid = yield context.call_activity("pay", context.get_input().cents)
    yield context.task_all([context.call_activity("ship", paid), context.call_activity("thank", paid)])
    return [paid, str(context.current_utc_datetime), str(context.new_uuid())]


def typed(ctx: task.OrchestrationContext, money: Money) -> Steps:
    yield ctx.call_activity("pay", input=money)
    return money


def at_once(ctx: task.OrchestrationContext, value: Any) -> Any:
    ctx.set_custom_status("soon")
    return value


def no_input(ctx: task.OrchestrationContext) -> Steps:
    return (yield ctx.call_activity("pay"))


def fails_at_once(ctx: task.OrchestrationContext, value: Any) -> Any:
    raise ValueError(f"not {value}")


def fails_of_something(ctx: task.OrchestrationContext, value: Any) -> Steps:
    yield ctx.call_activity("pay")
    try:
        {}[value]
    except KeyError as error:
        raise RuntimeError("later") from error


def unserialisable(ctx: task.OrchestrationContext, value: Any) -> Steps:
    yield ctx.call_activity("pay")
    return {1, 2}


def yields_no_task(ctx: task.OrchestrationContext, value: Any) -> Any:
    yield ctx.call_activity("pay")
    yield value


def bad_argument(ctx: task.OrchestrationContext, value: Any) -> Steps:
    yield ctx.call_activity("pay", input={1, 2})


NATIVE: tuple[Any, ...] = (
    typed,
    at_once,
    no_input,
    fails_at_once,
    fails_of_something,
    unserialisable,
    yields_no_task,
    bad_argument,
)


def make_app() -> df.DFApp:
    """All of them."""
    app = df.DFApp()
    app.orchestration_trigger(context_name="context", input_type=Money)(classic)  # type: ignore[arg-type]
    for each in NATIVE:
        app.orchestration_trigger(context_name="ctx")(each)
    return app
