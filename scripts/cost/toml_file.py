"""Reads a TOML file into a contract; what is wrong with it is said in one line, with the file and the field."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from scripts.cost.counts import first_fault


class FileRefused(Exception):
    """The file cannot be used. The text says which, where and why."""


def read_toml[T: BaseModel](path: Path, contract: type[T]) -> T:
    """The file as a `contract`. Raises `FileRefused`."""
    try:
        return contract.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileRefused(f"{path}: no TOML: {error}") from None
    except ValidationError as error:
        raise FileRefused(f"{path}: {first_fault(error)}") from None
