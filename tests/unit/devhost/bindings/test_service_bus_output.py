import pytest
from azure_functions_runtime.bindings.datumdef import Datum

from devhost.bindings.service_bus_output import Destination, ServiceBusOutputs
from devhost.errors import StartError
from devhost.worker.model import FunctionMetadata
from tests.support.functions import binding, function
from tests.support.kept_spans import kept_spans

CALL = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SETTINGS = {
    "Bus": "Endpoint=sb://localhost;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true",
    "QUEUE": "orders",
}


def with_output(**properties: str) -> FunctionMetadata:
    output = binding("serviceBus", "msg", is_output=True, **{"connection": "Bus", **properties})
    return function("f", binding("timerTrigger", "t"), output)


class FakeSender:
    """Keeps what is sent to a destination."""

    def __init__(self, destination: Destination, sent: list[tuple[str | None, str | bytes, str]]) -> None:
        self._name = destination.queue or destination.topic
        self._sent = sent
        self.trace_parents: list[str] = []

    async def send(self, body: str | bytes, content_type: str, trace_parent: str) -> None:
        if body == "refused":
            raise ConnectionError("no")
        self.trace_parents.append(trace_parent)
        self._sent.append((self._name, body, content_type))

    async def close(self) -> None:
        self._sent.append((self._name, "closed", ""))


async def test_texts_and_bytes_are_sent_to_the_binding_they_were_put_into() -> None:
    sent: list[tuple[str | None, str | bytes, str]] = []
    target = with_output(queueName="%QUEUE%")
    outputs = ServiceBusOutputs([target], SETTINGS, lambda destination: FakeSender(destination, sent))
    await outputs.write(target, {"msg": Datum("text", "string")})
    await outputs.write(target, {"msg": Datum(b"\x00", "bytes")})
    await outputs.write(target, {"msg": Datum(None, None), "other": Datum("x", "string")})
    await outputs.write(function("g", binding("timerTrigger", "t")), {"msg": Datum("x", "string")})
    await outputs.close()
    assert sent == [
        ("orders", "text", "text/plain"),
        ("orders", b"\x00", "application/octet-stream"),
        ("orders", "closed", ""),
    ]


async def test_a_message_that_cannot_be_sent_is_an_error_for_the_caller() -> None:
    target = with_output(topicName="t")
    outputs = ServiceBusOutputs([target], SETTINGS, lambda destination: FakeSender(destination, []))
    with pytest.raises(ConnectionError):
        await outputs.write(target, {"msg": Datum("refused", "string")})


async def test_a_message_is_a_span_below_its_call_and_carries_it_to_whoever_receives_it() -> None:
    spans, came = kept_spans()
    target, made = with_output(topicName="t"), list[FakeSender]()

    def connect(destination: Destination) -> FakeSender:
        made.append(FakeSender(destination, []))
        return made[-1]

    outputs = ServiceBusOutputs([target], SETTINGS, connect, spans)
    await outputs.write(target, {"msg": Datum("text", "string")}, CALL)
    with pytest.raises(ConnectionError):
        await outputs.write(target, {"msg": Datum("refused", "string")}, CALL)
    sent, refused = came.spans
    assert (sent.name, sent.kind, sent.parent_id) == ("ServiceBusSender.Send", "producer", "b7ad6b7169203331")
    assert sent.attributes["messaging.destination.name"] == "t"
    assert made[0].trace_parents == [f"00-{sent.trace_id}-{sent.span_id}-01"]
    assert (sent.status, refused.status) == ("unset", "error")


async def test_without_spans_a_message_carries_the_trace_of_its_call_as_it_came() -> None:
    target, made = with_output(topicName="t"), list[FakeSender]()

    def connect(destination: Destination) -> FakeSender:
        made.append(FakeSender(destination, []))
        return made[-1]

    outputs = ServiceBusOutputs([target], SETTINGS, connect)
    await outputs.write(target, {"msg": Datum("text", "string")}, CALL)
    await outputs.write(target, {"msg": Datum("text", "string")})
    assert made[0].trace_parents == [CALL, ""]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, "either a queue or a topic"),
        ({"queueName": "q", "topicName": "t"}, "either a queue or a topic"),
        ({"queueName": "%NONE%"}, "NONE"),
        ({"queueName": "q", "connection": "Other"}, "Other"),
    ],
)
def test_an_incomplete_binding_is_refused_with_function_and_name(properties: dict[str, str], reason: str) -> None:
    with pytest.raises(StartError, match=r"function 'f', output 'msg'") as refused:
        ServiceBusOutputs([with_output(**properties)], SETTINGS)
    assert reason in str(refused.value)
