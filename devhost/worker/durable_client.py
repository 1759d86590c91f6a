"""The value of a `durableClient` binding: the JSON text the Durable extension hands to the SDK in Azure.

The reader is `azure.durable_functions.client.DurableFunctionsClient._parse_client_configuration`; the URL templates are
those of the Durable HTTP management API, with `INSTANCEID` where an instance id belongs.
"""

import json
from dataclasses import dataclass
from typing import Final

WEBHOOK_PATH: Final = "/runtime/webhooks/durabletask"
_INSTANCE: Final = "INSTANCEID"
_OPERATIONS: Final = {
    "statusQueryGetUri": "?",
    "sendEventPostUri": "/raiseEvent/{eventName}?",
    "terminatePostUri": "/terminate?reason={text}&",
    "rewindPostUri": "/rewind?reason={text}&",
    "purgeHistoryDeleteUri": "?",
    "restartPostUri": "/restart?",
    "suspendPostUri": "/suspend?reason={text}&",
    "resumePostUri": "/resume?reason={text}&",
}


@dataclass(frozen=True, slots=True)
class DurableClientBinding:
    """Where an app's durable clients find their task hub.

    `base_url` is the host's own (`http://127.0.0.1:7071`), `hub_address` the gRPC endpoint as `host:port`,
    `system_key` opens the management endpoints, `max_message_bytes` bounds a gRPC message (0: the library's default).
    """

    task_hub: str
    base_url: str
    hub_address: str
    system_key: str
    max_message_bytes: int = 0

    def value(self) -> str:
        """The binding's JSON text."""
        webhook = f"{self.base_url}{WEBHOOK_PATH}"
        query = f"code={self.system_key}"
        instance = f"{webhook}/instances/{_INSTANCE}"
        create = f"{webhook}/orchestrators/{{functionName}}[/{{instanceId}}]?"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&"
        return json.dumps(
            {
                "taskHubName": self.task_hub,
                "connectionName": "Storage",
                "creationUrls": {
                    "createNewInstancePostUri": f"{create}{query}",
                    "createAndWaitOnNewInstancePostUri": f"{create}{wait}{query}",
                },
                "managementUrls": {
                    "id": _INSTANCE,
                    **{name: f"{instance}{tail}{query}" for name, tail in _OPERATIONS.items()},
                },
                "baseUrl": webhook,
                "requiredQueryStringParameters": query,
                "rpcBaseUrl": f"http://{self.hub_address}",
                "httpBaseUrl": webhook,
                "maxGrpcMessageSizeInBytes": self.max_message_bytes,
                "useForwardedHost": False,
            }
        )
