"""HTTP to an app under test, without an address: paths go in, answers come out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered. Header names compare without regard to case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` when it is none."""
        return json.loads(self.content)


class AppClient:
    """Asks the functions of one host. The function key is sent along, unless the call brings one."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key
        self._session = aiohttp.ClientSession(auto_decompress=False)

    async def get(self, path: str, **options: Any) -> Answer:
        """`GET path`; see `request`."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        """`POST path`; see `request`."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Answer:
        """`PUT path`; see `request`."""
        return await self.request("PUT", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        """`DELETE path`; see `request`."""
        return await self.request("DELETE", path, **options)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once and read all of the answer. `path` begins with a slash, or is an address that the host gave out."""
        url = path if path.startswith(self._url) else self._url + path
        sent = {"x-functions-key": self._key, **(headers or {})}
        call = self._session.request(
            method, url, json=json, data=data, headers=sent, params=params, allow_redirects=False
        )
        async with call as answer:
            return Answer(answer.status, answer.headers.copy(), await answer.read())

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
