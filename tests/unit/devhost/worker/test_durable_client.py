import azure.functions as func
from azure.durable_functions.client import DurableFunctionsClient

from devhost.worker.durable_client import DurableClientBinding

BINDING = DurableClientBinding("hub", "http://127.0.0.1:7071", "127.0.0.1:4001", "sk", 1000)


async def test_the_sdk_reads_where_the_task_hub_is() -> None:
    client = DurableFunctionsClient(BINDING.value())
    try:
        assert client.rpcBaseUrl == "http://127.0.0.1:4001"
        assert client.taskHubName == "hub"
        assert client.maxGrpcMessageSizeInBytes == 1000
    finally:
        await client.close()


async def test_the_sdk_makes_management_addresses_with_the_system_key_at_the_address_the_caller_used() -> None:
    client = DurableFunctionsClient(BINDING.value())
    try:
        request = func.HttpRequest("GET", "http://localhost:7071/api/x", body=b"")
        payload = client.create_http_management_payload(request, "a b")
        internal = client.create_http_management_payload("a b")
    finally:
        await client.close()
    root = "http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b"
    assert payload["statusQueryGetUri"] == f"{root}?code=sk"
    assert payload["sendEventPostUri"] == f"{root}/raiseEvent/{{eventName}}?code=sk"
    assert payload["terminatePostUri"] == f"{root}/terminate?reason={{text}}&code=sk"
    assert internal["purgeHistoryDeleteUri"].startswith("http://127.0.0.1:7071/runtime/")
