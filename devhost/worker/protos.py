"""The worker protocol's messages as plain dataclasses: the `protos` module that `azure_functions_runtime` asks for.

The runtime never imports protobuf messages. It is handed a module and builds its answers from it, so a module with the
same names and fields is enough to index an app in process. Field names are those of the Functions worker's
`FunctionRpc.proto`; only the messages that indexing touches are here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RpcException:
    """An exception as the worker reports it: `Type: message`, and the traceback as text."""

    message: str
    stack_trace: str = ""


@dataclass(frozen=True, slots=True)
class StatusResult:
    """Whether a request was served."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1

    status: int
    exception: RpcException | None = None


@dataclass(frozen=True, slots=True)
class BindingInfo:
    """Type, data type and direction of one binding; the class attributes are the enum values of the protocol."""

    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    undefined: ClassVar[int] = 0

    type: str
    direction: int
    data_type: int | None = None


@dataclass(frozen=True, slots=True)
class RpcRetryOptions:
    """A function's retry policy."""

    max_retry_count: int
    retry_strategy: str
    delay_interval: timedelta | None = None
    minimum_interval: timedelta | None = None
    maximum_interval: timedelta | None = None


@dataclass(frozen=True, slots=True)
class RpcFunctionMetadata:
    """One indexed function. `raw_bindings` are JSON texts, one a binding, in the order of declaration."""

    name: str
    function_id: str
    directory: str
    script_file: str
    entry_point: str
    language: str
    bindings: Mapping[str, BindingInfo]
    raw_bindings: Sequence[str]
    managed_dependency_enabled: bool = False
    is_proxy: bool = False
    retry_options: RpcRetryOptions | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionMetadataResponse:
    """All the functions of the app; `None` when there is no script file to index."""

    use_default_metadata_indexing: bool
    function_metadata_results: Sequence[RpcFunctionMetadata] | None
    result: StatusResult


@dataclass(frozen=True, slots=True)
class WorkerMetadata:
    """What the worker says of itself."""

    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WorkerInitResponse:
    """The answer to the request that makes the worker index its app."""

    capabilities: Mapping[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclass(frozen=True, slots=True)
class WorkerInitRequest:
    """Where the app lies and what the host can do."""

    function_app_directory: str
    capabilities: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamingMessage:
    """The envelope around a request."""

    worker_init_request: WorkerInitRequest


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """A request as the worker's proxy hands it to the runtime library: the message, and what the library needs."""

    request: StreamingMessage
    properties: Mapping[str, object]
