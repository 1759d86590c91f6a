"""A real local host in a process of its own: the only way to test it, since a process can run one app only."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 40.0


class HostStartError(AssertionError):
    """The host ended, or did not become ready in time. The text is its log; `status` its exit status, if it ended."""

    def __init__(self, log: str, status: int | None) -> None:
        super().__init__(f"the host did not start (exit status {status}):\n{log}")
        self.status = status
        self.log = log


class HostProcess:
    """`python -m devhost` on a free port, with exactly the environment given (plus what Python needs to start).

    `async with HostProcess(app, state_dir=tmp_path / "state") as host:` waits until it is ready, and interrupts it at
    the end. Next to `state_dir` lie the ready file and the log. Use the directory again to start from what was left.
    """

    def __init__(
        self,
        app_dir: Path,
        *,
        state_dir: Path,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self.app_dir = app_dir
        self.state_dir = state_dir
        self._env = dict(env or {})
        self._arguments = list(arguments)
        self._port = port
        self._ready: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = state_dir.with_name(f"{state_dir.name}.log")
        self._ready_file = state_dir.with_name(f"{state_dir.name}.ready.json")

    async def start(self) -> Self:
        """Start the process and wait until it is ready; raises `HostStartError` with the log when it is not."""
        self._ready_file.unlink(missing_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "devhost", "--app", str(self.app_dir), "--port", str(self._port)]
        command += ["--state-dir", str(self.state_dir), "--ready-file", str(self._ready_file), *self._arguments]
        self._process = self._spawn(command)
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not self._ready_file.exists():
            if self._process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                self.kill()
                raise HostStartError(self.log, self._process.returncode)
            await asyncio.sleep(0.02)
        self._ready = json.loads(self._ready_file.read_text(encoding="utf-8"))
        return self

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.state_dir.parent), "PYTHONUNBUFFERED": "1", **self._env}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return str(self._ready["url"])

    @property
    def ready(self) -> Mapping[str, Any]:
        """What the host wrote to its ready file: `url`, `pid`, `keys_dir`, `state_dir`, `amqp_port`, ..."""
        return self._ready

    @property
    def log(self) -> str:
        """Everything the host has written so far, over all starts with this state directory."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process is not None and self._process.poll() is None

    def key(self, name: str = "default") -> str:
        """One of the host's keys: `default`, `master` or `durabletask`."""
        return (Path(self._ready["keys_dir"]) / name).read_text(encoding="ascii").strip()

    def interrupt(self) -> None:
        """What Ctrl-C does. Does not wait; see `wait`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM. Does not wait; see `wait`."""
        assert self._process is not None
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL: the process is gone when this returns."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def wait(self, within: float = STOP_SECONDS) -> int:
        """The exit status, once the process has ended by itself; raises `AssertionError` when it has not in time."""
        assert self._process is not None
        deadline = asyncio.get_running_loop().time() + within
        while (status := self._process.poll()) is None:
            assert asyncio.get_running_loop().time() < deadline, f"the host still runs:\n{self.log}"
            await asyncio.sleep(0.02)
        return status

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.running:
            return
        self.interrupt()
        try:
            await self.wait()
        finally:
            self.kill()
