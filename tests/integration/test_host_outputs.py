"""An app's output binding and its queue trigger, over the namespace the host serves itself."""

from pathlib import Path
from textwrap import dedent

import aiohttp

from tests.support.eventually import eventually
from tests.support.host_process import HostProcess

CODE = """
    import logging
    import azure.functions as func

    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="order/{item}")
    @app.service_bus_queue_output(arg_name="order", queue_name="%ORDERS%", connection="Bus")
    async def order(req: func.HttpRequest, order: func.Out[str]) -> str:
        order.set(req.route_params["item"])
        return "ordered"

    @app.service_bus_queue_trigger(arg_name="message", queue_name="%ORDERS%", connection="Bus")
    async def deliver(message: func.ServiceBusMessage) -> None:
        logging.info("delivering %s as %s", message.get_body().decode(), message.content_type)
"""


async def test_what_a_function_puts_into_its_output_reaches_the_function_behind_the_queue(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text('{"version": "2.0"}')
    (app / "function_app.py").write_text(dedent(CODE))
    bus = "Endpoint=sb://localhost;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true"
    env = {"ORDERS": "orders", "Bus": bus}
    async with HostProcess(app, state_dir=tmp_path / "state", env=env, arguments=["--amqp-port", "0"]) as host:
        assert host.ready["amqp_port"] != 5672
        assert host.ready["administration_port"]
        async with aiohttp.ClientSession(host.url) as http, http.post("/api/order/tea") as response:
            assert (response.status, await response.text()) == (200, "ordered")
        await eventually(lambda: "delivering tea as text/plain" in host.log)
        key = {"x-functions-key": host.key("master")}
        async with (
            aiohttp.ClientSession(host.url, headers=key) as http,
            http.post("/admin/functions/deliver", json={"input": "coffee"}) as response,
        ):
            assert response.status == 202
        assert "delivering coffee" in host.log
