import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from devhost.worker.indexing import IndexingError, functions_from
from devhost.worker.protos import RpcFunctionMetadata, RpcRetryOptions

HTTP = {"type": "httpTrigger", "name": "req", "direction": "IN", "route": "x"}
RESPONSE = {"type": "http", "name": "$return", "direction": "OUT"}


def indexed(name: str, *bindings: Mapping[str, Any], retry: RpcRetryOptions | None = None) -> RpcFunctionMetadata:
    return RpcFunctionMetadata(
        name=name,
        function_id=f"id of {name}",
        directory="",
        script_file="",
        entry_point=name,
        language="python",
        bindings={},
        raw_bindings=[json.dumps(each) for each in bindings],
        retry_options=retry,
    )


def test_a_function_keeps_its_trigger_bindings_and_raw_properties() -> None:
    client = {"type": "durableClient", "name": "client", "direction": "IN"}
    (function,) = functions_from([indexed("f", RESPONSE, client, HTTP)])
    assert function.trigger.properties["route"] == "x"
    assert [each.name for each in function.inputs("durableClient")] == ["client"]
    assert [each.is_output for each in function.bindings] == [True, False, False]


def test_functions_come_in_the_order_of_their_names() -> None:
    names = [each.name for each in functions_from([indexed("b", HTTP), indexed("A", HTTP), indexed("c", HTTP)])]
    assert names == ["A", "b", "c"]


def test_a_retry_policy_is_kept_without_what_it_does_not_say() -> None:
    retry = RpcRetryOptions(max_retry_count=3, retry_strategy="fixed_delay", delay_interval=timedelta(seconds=2))
    (function,) = functions_from([indexed("f", {"type": "timerTrigger", "name": "t"}, retry=retry)])
    assert function.retry == {
        "max_retry_count": 3,
        "retry_strategy": "fixed_delay",
        "delay_interval": timedelta(seconds=2),
    }


@pytest.mark.parametrize(
    ("bindings", "named"),
    [
        ([{"type": "blobTrigger", "name": "b"}], ["'f'", "blobTrigger"]),
        ([HTTP, {"type": "blob", "name": "out", "direction": "OUT"}], ["'f'", "output binding 'out'", "blob"]),
        ([HTTP, {"type": "cosmosDB", "name": "docs", "direction": "IN"}], ["'f'", "input binding 'docs'", "cosmosDB"]),
        ([RESPONSE], ["'f'", "no trigger"]),
        ([HTTP, {"type": "http", "name": "x", "direction": "INOUT"}], ["'f'", "input binding 'x'"]),
    ],
)
def test_what_the_host_cannot_run_is_refused_by_function_and_type(
    bindings: list[Mapping[str, Any]], named: list[str]
) -> None:
    with pytest.raises(IndexingError) as refused:
        functions_from([indexed("f", *bindings)])
    assert [word for word in named if word not in str(refused.value)] == []


def test_every_refusal_is_told_at_once() -> None:
    with pytest.raises(IndexingError) as refused:
        functions_from([indexed(name, {"type": f"{name}Trigger", "name": "x"}) for name in ("kafka", "blob")])
    assert len(str(refused.value).splitlines()) == 2
