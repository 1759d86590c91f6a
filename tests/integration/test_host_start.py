"""What stops a host from starting, and what it says then: the diagnosis, in words, and a non-zero exit."""

import json
import socket
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.host_process import HostProcess, HostStartError

APP = "import azure.functions as func\napp = func.FunctionApp()\n"


def app_in(folder: Path, code: str | None, *, host_json: str = '{"version": "2.0"}', settings: str = "") -> Path:
    app = folder / "app"
    app.mkdir()
    (app / "host.json").write_text(host_json)
    if code is not None:
        (app / "function_app.py").write_text(dedent(code))
    if settings:
        (app / "local.settings.json").write_text(settings)
    return app


async def refused(host: HostProcess) -> HostStartError:
    with pytest.raises(HostStartError) as failure:
        await host.start()
    return failure.value


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param(
            "import a_module_that_is_not_there",
            ["ModuleNotFoundError: No module named 'a_module_that_is_not_there'", "functions-modulenotfound", "line 1"],
            id="missing module",
        ),
        pytest.param("def broken(:", ["SyntaxError", "function_app.py", "line 1"], id="syntax error"),
        pytest.param(
            "x = 1\nraise RuntimeError('at import')", ["RuntimeError: at import", "line 2"], id="error at import"
        ),
        pytest.param("raise SystemExit(3)", ["SystemExit", "ended the process while it was imported"], id="exit"),
        pytest.param(
            "import azure.functions as func\na = func.FunctionApp()\nb = func.FunctionApp()",
            ["ValueError: More than one FunctionApp or other top level function app instances are defined"],
            id="two apps",
        ),
        pytest.param("x = 1", ["ValueError: Could not find top level function app instances"], id="no app"),
        pytest.param(None, ["there is no function_app.py in"], id="no script"),
        pytest.param(
            APP + "@app.route(route='x')\ndef f(wrong: func.HttpRequest) -> str: return ''",
            ["FunctionLoadError: cannot load the f function", "'wrong'"],
            id="parameter without binding",
        ),
        pytest.param(
            APP + "@app.route(route='x')\ndef f(req: int) -> str: return ''",
            ["FunctionLoadError: cannot load the f function", "req", "do not match", "int"],
            id="wrong annotation",
        ),
        pytest.param(
            APP + "@app.route(route='x')\ndef f(req): pass\n@app.route(route='y')\ndef f(req): pass",
            ["Function f does not have a unique function name"],
            id="same name twice",
        ),
        pytest.param(
            APP + "@app.queue_trigger(arg_name='msg', queue_name='q', connection='C')\ndef f(msg): pass",
            ["function 'f' has a queueTrigger, which this host does not support", "httpTrigger"],
            id="unknown trigger",
        ),
        pytest.param(
            APP + "@app.route(route='x')\n@app.blob_input(arg_name='b', path='p', connection='C')\ndef f(req, b): pass",
            ["function 'f' has the input binding 'b' of type blob, which this host does not support"],
            id="unknown binding",
        ),
        pytest.param(
            APP + "@app.route(route='x/{id:uint}')\ndef f(req): pass",
            ["function 'f': route 'api/x/{id:uint}': the route constraint 'uint' is not supported"],
            id="impossible route",
        ),
    ],
)
async def test_an_app_that_cannot_be_run_is_diagnosed_and_the_exit_status_is_1(
    tmp_path: Path, code: str | None, said: list[str]
) -> None:
    failure = await refused(HostProcess(app_in(tmp_path, code), state_dir=tmp_path / "state"))
    assert failure.status == 1
    assert [text for text in said if text not in failure.log] == []
    assert "cannot be run" in failure.log or "function 'f'" in failure.log


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"settings": '{"Values": {"A": 1}}'}, '"A" must be a text in quotes, not 1'),
        ({"host_json": '{"version": "2.0", "functionTimeout": "soon"}'}, "functionTimeout must be a duration"),
    ],
)
async def test_a_malformed_file_is_one_clear_line_and_exit_status_1(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    failure = await refused(HostProcess(app_in(tmp_path, APP, **files), state_dir=tmp_path / "state"))
    assert failure.status == 1
    assert said in failure.log
    assert "Traceback" not in failure.log


async def test_a_port_in_use_is_told_with_the_way_to_change_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        host = HostProcess(app_in(tmp_path, APP), state_dir=tmp_path / "state", port=port)
        failure = await refused(host)
    assert failure.status == 1
    assert f"port {port} on 127.0.0.1 is in use" in failure.log
    assert "--port" in failure.log


async def test_a_state_directory_in_use_is_told_with_the_host_that_holds_it(tmp_path: Path) -> None:
    app = app_in(tmp_path, APP)
    async with HostProcess(app, state_dir=tmp_path / "state") as first:
        second = HostProcess(app, state_dir=tmp_path / "second", arguments=["--state-dir", str(first.state_dir)])
        failure = await refused(second)
    assert failure.status == 1
    assert f"used by another host (process {first.pid})" in failure.log


async def test_an_app_without_functions_starts_and_says_so(tmp_path: Path) -> None:
    async with HostProcess(app_in(tmp_path, APP), state_dir=tmp_path / "state") as host:
        assert "the app has no functions" in host.log


async def test_json_logs_are_one_object_a_line_and_one_of_them_is_the_ready_line(tmp_path: Path) -> None:
    app = app_in(tmp_path, APP)
    async with HostProcess(app, state_dir=tmp_path / "state", arguments=["--json-logs"]) as host:
        lines = [json.loads(line) for line in host.log.splitlines()]
    (ready,) = [line for line in lines if line.get("event") == "ready"]
    assert ready["url"] == host.url
    assert ready["pid"] == host.pid


async def test_a_ready_file_that_cannot_be_written_is_named_in_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "no-such-folder" / "ready.json"
    app = app_in(tmp_path, APP)
    host = HostProcess(app, state_dir=tmp_path / "state", arguments=["--ready-file", str(missing)])
    failure = await refused(host)
    assert failure.status == 1
    assert f"the ready file {missing} cannot be written: No such file or directory" in failure.log
    assert "Traceback" not in failure.log
