"""What Blob Storage's refusals and silences become: a configuration error that names the place, or a retryable one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from shared.artifacts.blob import BlobArtifacts, Container
from shared.errors import ConfigurationError, MusterError, NotFound, StoreUnavailable
from tests.support.azurite import connection_string
from tests.support.muster_host import free_port

ADDRESS = "run-1/sha256:" + "0" * 64
type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[BlobArtifacts]:
    """A store whose service answers everything with `handler`, and is asked once."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    store = BlobArtifacts(Container(connection_string=connection_string(port)), retries=0)
    try:
        yield store
    finally:
        await store.close()
        await runner.cleanup()


def answer(status: int, code: str, **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        return web.Response(
            status=status, text=body, content_type="application/xml", headers={"x-ms-error-code": code, **headers}
        )

    return handler


async def all_errors(store: BlobArtifacts) -> list[MusterError]:
    """What each operation raises."""
    found = []
    for call in (store.put(b"x", "text/plain", run="run-1"), store.get(ADDRESS), store.delete_run("run-1")):
        with pytest.raises(MusterError) as raised:
            await call
        found.append(raised.value)
    return found


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "ContainerNotFound"), (403, "AuthorizationPermissionMismatch"), (401, "InvalidAuthenticationInfo")],
)
async def test_a_container_that_is_not_there_or_closed_is_a_configuration_error_that_names_it(
    status: int, code: str
) -> None:
    async with answering(answer(status, code)) as store:
        for error in await all_errors(store):
            assert isinstance(error, ConfigurationError)
            assert "artifacts" in str(error)
            assert "Key" not in str(error)


async def test_a_blob_that_is_not_there_is_not_found() -> None:
    async with answering(answer(404, "BlobNotFound")) as store:
        with pytest.raises(NotFound):
            await store.get(ADDRESS)


async def test_a_service_that_is_busy_is_unavailable_for_as_long_as_it_says() -> None:
    async with answering(answer(503, "ServerBusy", **{"retry-after": "7"})) as store:
        for error in await all_errors(store):
            assert isinstance(error, StoreUnavailable)
            assert error.retry_after == timedelta(seconds=7)


async def test_a_service_that_hangs_up_is_unavailable() -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    async with answering(hang_up) as store:
        assert [type(error) for error in await all_errors(store)] == [StoreUnavailable] * 3


async def test_a_service_that_nobody_runs_is_unavailable() -> None:
    store = BlobArtifacts(Container(connection_string=connection_string(free_port())), retries=0)
    assert [type(error) for error in await all_errors(store)] == [StoreUnavailable] * 3
    await store.close()


@pytest.mark.parametrize("container", [Container(), Container(connection_string="nonsense")])
async def test_settings_that_name_no_container_are_a_configuration_error(container: Container) -> None:
    with pytest.raises(ConfigurationError, match="MUSTER_ARTIFACTS"):
        await BlobArtifacts(container).get(ADDRESS)


def test_nothing_shows_the_key_in_a_connection_string() -> None:
    assert "Eby8" not in repr(Container(connection_string=connection_string(1)))
