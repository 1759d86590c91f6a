"""Entra ID: the one credential that every Azure adapter shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING

from shared.errors import ConfigurationError, IdentityUnavailable

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential


@cache
def entra_credential(client_id: str | None) -> DefaultAzureCredential:
    """The credential of this app's identity: the user-assigned one named by `client_id`, or the machine's own.

    It is made once for each identity, because each holds a token cache; `azure.identity` is imported only here.
    """
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=client_id)


def entra_token(client_id: str | None, scope: str) -> Callable[[], Awaitable[str]]:
    """A function that gives a fresh bearer token for `scope`, from the credential's cache while it is good.

    It raises `ConfigurationError` when there is no identity or it is refused, `IdentityUnavailable` when Entra ID
    does not answer.
    """

    async def token() -> str:
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        try:
            return (await entra_credential(client_id).get_token(scope)).token
        except ClientAuthenticationError as error:
            raise ConfigurationError(f"this app has no identity that Entra ID accepts: {error.message}") from error
        except AzureError as error:
            raise IdentityUnavailable(f"Entra ID gave no token: {error.message}") from error

    return token
