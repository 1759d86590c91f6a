import pytest
from azure_functions_runtime.bindings.datumdef import Datum

from devhost.bindings.service_bus_output import Destination, ServiceBusOutputs
from devhost.errors import StartError
from devhost.worker.model import FunctionMetadata
from tests.support.functions import binding, function

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

    async def send(self, body: str | bytes, content_type: str) -> None:
        if body == "refused":
            raise ConnectionError("no")
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
