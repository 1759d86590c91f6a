"""Async activities called directly come to exactly what they come to when the worker library calls them."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from azure.durable_functions.internal import payloads
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.bindings.meta import load_binding_registry
from azure_functions_runtime.handle_event import _functions as registry
from azure_functions_runtime.loader import process_indexed_function
from azure_functions_runtime.native_invocation import invocation_request_native
from azure_functions_runtime.utils.executor import invocation_id_cv

from devhost.worker import protos
from devhost.worker.direct import DirectActivity, direct_activity
from devhost.worker.indexing import functions_from
from devhost.worker.model import FunctionMetadata, InvocationError
from devhost.worker.tracebacks import error_from
from tests.support.payload_shelf import SHELF_THRESHOLD, PayloadShelf

pytestmark = [
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:azure.functions Durable JSON codec:DeprecationWarning"),
]


class Money:
    """A type with the SDK's own way to and from JSON."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    @staticmethod
    def to_json(value: "Money") -> str:
        return str(value.cents)

    @staticmethod
    def from_json(text: str) -> "Money":
        return Money(int(text))


async def echo(value: Any) -> Any:
    return value


async def doubled(value: int) -> Money:
    return Money(2 * value)


async def paid(value: Any) -> int:
    return int(value.cents)


async def unserialisable(value: Any) -> Any:
    return {1, 2}


async def failing(value: Any) -> None:
    raise ValueError(f"no {value}")


async def failing_of_something(value: Any) -> None:
    try:
        {}[value]
    except KeyError as error:
        raise RuntimeError from error


async def whose_call(value: Any) -> Any:
    return invocation_id_cv.get()


def blocking(value: Any) -> Any:
    return value


async def with_context(value: Any, context: func.Context) -> Any:
    return context.function_name


async def with_client(value: Any, client: df.DurableFunctionsClient) -> Any:
    return value


ACTIVITIES = (echo, doubled, paid, unserialisable, failing, failing_of_something, whose_call, blocking, with_context)


@pytest.fixture(scope="module")
def functions() -> Mapping[str, FunctionMetadata]:
    """The activities, indexed by the worker library as those of an app."""
    load_binding_registry()
    app = df.DFApp()
    for each in ACTIVITIES:
        app.activity_trigger(input_name="value")(each)
    app.activity_trigger(input_name="value")(app.durable_client_input("client")(with_client))
    indexed, _ = process_indexed_function(protos, registry, app.get_functions(), "")
    return {each.name: each for each in functions_from(indexed)}


def direct(function: FunctionMetadata) -> DirectActivity | None:
    return direct_activity(function, registry.get_function(function.function_id))


async def by_the_library(function: FunctionMetadata, value: Datum) -> Datum | InvocationError | None:
    inputs = [(function.trigger.name, value)]
    ok, result, outputs, error, traceback = await invocation_request_native("id-7", function.function_id, inputs, {})
    assert outputs == []
    returned: Datum | None = result
    return returned if ok else error_from(error, traceback)


MONEY = json.dumps({"__class__": "Money", "__module__": __name__, "__data__": "21"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("echo", text) for text in ("null", "1", "0.5", '"text"', "true", "[1, {}]", '{"a": [null]}', "no JSON", "")],
        ("echo", MONEY),
        ("doubled", "21"),
        ("paid", MONEY),
        ("unserialisable", "1"),
        ("failing", '"way"'),
        ("failing", "null"),
        ("failing_of_something", "1"),
        ("echo", '{"__class__": "Nothing", "__module__": "nowhere", "__data__": "1"}'),
        ("doubled", '"text"'),
        ("whose_call", "1"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "string", "bytes"])
async def test_a_direct_call_comes_to_what_the_librarys_call_comes_to(
    functions: Mapping[str, FunctionMetadata], name: str, value: str, kind: str
) -> None:
    function, datum = functions[name], Datum(value, kind)
    activity = direct(function)
    assert activity is not None
    there, here = await by_the_library(function, datum), await activity.call("id-7", datum)
    if isinstance(there, InvocationError):
        assert isinstance(here, InvocationError)
        assert (here.type, here.message) == (there.type, there.message)
    else:
        assert not isinstance(here, InvocationError)
        assert there is not None
        assert (here.type, here.value) == (there.type, there.value)


async def test_the_traceback_of_a_direct_call_begins_in_the_app(functions: Mapping[str, FunctionMetadata]) -> None:
    activity = direct(functions["failing"])
    assert activity is not None
    error = await activity.call("i", Datum("1", "json"))
    assert isinstance(error, InvocationError)
    assert error.traceback.splitlines()[1].startswith(f'  File "{__file__}"')


async def test_the_invocation_id_is_put_back_after_the_call(functions: Mapping[str, FunctionMetadata]) -> None:
    activity = direct(functions["whose_call"])
    assert activity is not None
    token = invocation_id_cv.set("outer")
    assert (await activity.call("inner", Datum("1", "json"))).value == '"inner"'  # type: ignore[union-attr]
    assert invocation_id_cv.get() == "outer"
    invocation_id_cv.reset(token)


@pytest.mark.parametrize("name", ["blocking", "with_context", "with_client"])
def test_what_needs_a_thread_a_context_or_another_binding_is_left_to_the_library(
    functions: Mapping[str, FunctionMetadata], name: str
) -> None:
    assert direct(functions[name]) is None


@pytest.mark.parametrize(
    ("name", "value", "returned"),
    [
        ("echo", "1", "1"),
        ("echo", "no JSON", '"no JSON"'),
        ("echo", json.dumps("x" * SHELF_THRESHOLD), '"shelf:1"'),
        ("echo", '"shelf:0"', '"kept"'),
        ("paid", MONEY, "21"),
        ("failing", '"shelf:0"', "no kept"),
    ],
)
async def test_with_a_payload_store_too_a_direct_call_comes_to_what_the_librarys_call_comes_to(
    functions: Mapping[str, FunctionMetadata], monkeypatch: pytest.MonkeyPatch, name: str, value: str, returned: str
) -> None:
    activity = direct(functions[name])
    assert activity is not None
    came = []
    for call in (partial(by_the_library, functions[name]), partial(activity.call, "id-7")):
        shelf = PayloadShelf()
        shelf.kept = [b'"kept"']
        monkeypatch.setattr(payloads, "_payload_store", shelf)
        result = await call(Datum(value, "json"))
        assert result is not None
        came.append((result.message if isinstance(result, InvocationError) else result.value, shelf.kept))
    assert came[0] == came[1]
    assert came[0][0] == returned
