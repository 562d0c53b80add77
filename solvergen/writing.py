"""Write files atomically, and only if their content changed; check that they are current."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Change:
    """How a file on disk differs from what should be there.

    Args:
        path: the file.
        kind: "new", "stale" or "extra".
        diff: unified diff from the file on disk to what should be there.
    """

    path: Path
    kind: str
    diff: str = ""


def write(path: Path, text: str) -> bool:
    """Replace a file atomically; an interruption leaves the old file complete.

    Returns:
        Whether the file changed.

    Raises:
        OSError: the folder cannot be written.
    """
    data = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == data:
        return False
    replace(path, data)
    return True


def replace(path: Path, data: bytes) -> None:
    """Replace the bytes of a file atomically; an interruption leaves the old file complete.

    Raises:
        OSError: the folder cannot be written, or the path is a folder; it names the path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:  # it names the file that was to become this one
        raise OSError(error.errno, error.strerror, str(path)) from None


def promised(path: Path) -> Path:
    """The path of a file that will be written, looked at before long work begins.

    Raises:
        OSError: it is a folder, or its folder can neither be written nor made; names the path.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; give another name", str(path))
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file, not a folder", str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{folder} cannot be written", str(path))
    return path


def compare(path: Path, text: str) -> Change | None:
    """What writing would change, or ``None`` when the file is current."""
    if not path.is_file():
        return Change(path, "new", _diff(path, "", text))
    old = path.read_bytes().decode("utf-8", "replace")
    return None if old == text else Change(path, "stale", _diff(path, old, text))


def extras(folder: Path, expected: set[str]) -> list[Change]:
    """Python files of a folder that no spec produces."""
    found = sorted(p for p in folder.glob("*.py") if p.name not in expected | {"__init__.py"})
    return [Change(path, "extra") for path in found]


def _diff(path: Path, old: str, new: str) -> str:
    return "".join(
        difflib.unified_diff(
            old.splitlines(True), new.splitlines(True), str(path), f"{path} (as its spec derives)"
        )
    )
