"""What is to be judged: a target, its options, what to hold it to; and a key that names it for good."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
from functools import cache
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
        if self.claim is not None:
            return self.claim
        exact = {key: order for key, order in self.claims.items() if one_sampler(key, name)}
        said = [*exact.values(), *(o for key, o in self.claims.items() if speaks_of(key, name))]
        return self.claims.get(name, said[0] if said else None)

    def covers(self, name: str) -> bool:
        """Whether a name is one that this request would judge, if there were such a sampler."""
        bare, whole = name.partition(" ")[0], self.target.removesuffix("*").rstrip(":")
        if name.removeprefix(bare) != self.name.removeprefix(self.target):
            return False  # of other options
        if Path(whole).is_dir():
            return dotted(bare.partition(":")[0]).startswith(f"{dotted(whole)}.")
        of_file = self.target.endswith((".py", ":*"))
        return of_file and _one_place(bare.partition(":")[0], whole)

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


def dotted(place: str) -> str:
    """A file as the module that it would be imported as: src/mine/ab2.py is src.mine.ab2."""
    return ".".join(
        part for part in Path(place.removesuffix(".py")).parts if part not in (".", "/")
    )


def _one_place(first: str, second: str) -> bool:
    """Whether a file and a module may be one; a file's folders may lie outside its package."""
    one, two = dotted(first), dotted(second)
    if first.endswith(".py") == second.endswith(".py"):
        return one == two
    return one == two or one.endswith(f".{two}") or two.endswith(f".{one}")


def one_sampler(first: str, second: str) -> bool:
    """Whether two names mean one sampler, by module or by file; options are not looked at.

    >>> one_sampler("mine.ab2:sample", "src/mine/ab2.py:sample")
    True
    >>> one_sampler("mine.ab2:sample", "mine.ab3:sample")
    False
    """
    (one, _, a), (two, _, b) = (name.partition(" ")[0].partition(":") for name in (first, second))
    return a == b and _one_place(one, two)


def speaks_of(key: str, name: str) -> bool:
    """Whether a key of the claims means a sampler: by its name, or by its whole file or module.

    >>> speaks_of("src/mine/ab2.py", "mine.ab2:sample"), speaks_of("mine.ab2:other", "mine.ab2:sample")
    (True, False)
    """
    function = name.partition(" ")[0].partition(":")[2]
    return one_sampler(key if ":" in key or not function else f"{key}:{function}", name)


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
    if version := _released(package):
        return version
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


@cache
def _released(package: str) -> str:
    """The version of an installed package; empty for a module of one's own."""
    try:
        return importlib.metadata.version(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return ""


@cache
def judge_digest() -> str:
    """Digest of the judge's own sources: another judge may say something else."""
    made = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        made.update(file.read_bytes())
    return made.hexdigest()
