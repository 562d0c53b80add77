"""What is to be judged: a target, its options, what to hold it to; and a key that names it for good."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from .verdict import versions


@dataclasses.dataclass(frozen=True)
class Request:
    """One command-line target with what to hold it to.

    Args:
        target: text, see targets.find.
        options: keyword arguments for it.
        convention, claim: as in targets.find and judge.
        settings: keyword arguments of judge().
        claims: target -> order, where a project states them.
        swept: whether the options are one set of a sweep, which a class may refuse.
    """

    target: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    convention: str | None = None
    claim: int | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    claims: dict[str, int] = dataclasses.field(default_factory=dict)
    swept: bool = False

    def claimed(self, name: str) -> int | None:
        """What a target of this request is held to: the claim given, or the project's."""
        bare = name.partition(" ")[0]
        said = self.claims.get(name, self.claims.get(bare))
        return self.claim if self.claim is not None else said

    @property
    def name(self) -> str:
        """Target and options in a line, as reports show it."""
        shown = [f"{k}={v}" for k, v in self.options.items() if not callable(v)]
        return " ".join([self.target, *shown])

    def key(self) -> str:
        """Digest of the request, of the code that it names, of the versions and of the judge."""
        data = dataclasses.asdict(self)
        data["code"] = _digest_of_code(self.target)
        data["versions"] = versions()
        data["judge"] = judge_digest()
        return hashlib.sha256(json.dumps(data, sort_keys=True, default=_named).encode()).hexdigest()


def _named(value: Any) -> str:
    """A function by its name: its place in memory is another one in the next run."""
    return str(getattr(value, "__qualname__", value))


def _digest_of_code(target: str) -> str:
    """The file that a target names or lies in; the version of its package for a library's."""
    head = target.partition(":")[0]
    path = Path(head)
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    package = head.partition(".")[0]
    try:
        return importlib.metadata.version(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if found is None or found.origin is None:
        return ""
    # a module of one's own: whatever of its package changes may change it
    origin = Path(found.origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    made = hashlib.sha256()
    for file in files:
        made.update(file.read_bytes())
    return made.hexdigest()


@lru_cache(maxsize=1)
def judge_digest() -> str:
    """Digest of the judge's own sources: another judge may say something else."""
    made = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        made.update(file.read_bytes())
    return made.hexdigest()
