"""`python -m scripts.package`: lists what a deployment uploads, which is what `.funcignore` lets through.

`.funcignore` means what a `.gitignore` would (github.com/Azure/azure-functions-core-tools/issues/341). `azd` and Core
Tools read it alike, and leave out `local.settings.json` whatever it says (github.com/Azure/azure-dev/pull/5383). The
packages of `requirements.txt` are installed in Azure, after the upload.
"""

import argparse
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from scripts.local_host import ROOT

ALWAYS_OUT = "local.settings.json"


def packed_files(root: Path) -> tuple[Path, ...]:
    """What is uploaded of the app in `root`, as sorted paths under it. Raises `OSError` without a `.funcignore`."""
    ignored = GitIgnoreSpec.from_lines((root / ".funcignore").read_text(encoding="utf-8").splitlines())
    return tuple(sorted(_kept(root, Path(), ignored)))


def _kept(root: Path, folder: Path, ignored: GitIgnoreSpec) -> Iterator[Path]:
    for entry in os.scandir(root / folder):
        path = folder / entry.name
        # The slash says that it is a folder: nothing below an ignored one is looked at, as git has it.
        if ignored.match_file(f"{path.as_posix()}/" if entry.is_dir() else path.as_posix()):
            continue
        if entry.is_dir():
            yield from _kept(root, path, ignored)
        elif path.as_posix() != ALWAYS_OUT:
            yield path


def pack(root: Path, archive: Path) -> None:
    """Write the zip that is uploaded."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in packed_files(root):
            packed.write(root / path, path.as_posix())


def install(requirements: Path, environment: Path) -> Path:
    """Make a virtual environment that has the packages of a locked file and nothing else, and return its Python.

    Raises `subprocess.CalledProcessError` when a package cannot be had, or is not the locked one.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    _pip("--python", str(python), "install", "--no-compile", "-r", str(requirements))
    return python


def install_into(requirements: Path, folder: Path) -> None:
    """Install what a locked file names, without what it depends on, into a folder. Raises as `install` does."""
    _pip("install", "--no-compile", "--no-deps", "--target", str(folder), "-r", str(requirements))


def _pip(*arguments: str) -> None:
    quiet = ("--quiet", "--quiet", "--disable-pip-version-check", "--require-hashes")
    subprocess.run([sys.executable, "-m", "pip", *arguments, *quiet], check=True)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m scripts.package", description=__doc__).parse_args()
    for each in packed_files(ROOT):
        print(each.as_posix())
