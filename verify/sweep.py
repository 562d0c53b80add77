"""Many targets: progress, stop and resume, and processes through joblib.

Each finished verdict is appended to a record file at once, so nothing measured is lost when a run
stops; a later run with the same file and settings takes the finished ones from there. With
joblib's parallel_config a Dask or Ray cluster serves the same sweep.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .errors import TargetError, VerifyError
from .judge import judge
from .report.machine import _finite
from .targets import find
from .verdict import Verdict, versions


@dataclasses.dataclass(frozen=True)
class Request:
    """One command-line target with what to hold it to.

    Args:
        target: text, see targets.find.
        options: keyword arguments for it.
        convention, claim: as in targets.find and judge.
        settings: keyword arguments of judge().
    """

    target: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    convention: str | None = None
    claim: int | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    def key(self) -> str:
        """Digest of the request, of the file that it names, and of the versions at work."""
        data = dataclasses.asdict(self)
        path = Path(self.target)
        if path.is_file():
            data["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        data["versions"] = versions()
        return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()


def split(request: Request) -> list[Request]:
    """A folder as one request a file, so that each can fail, finish and resume alone."""
    path = Path(request.target)
    if not path.is_dir():
        return [request]
    files = sorted(p for p in path.glob("*.py") if not p.name.startswith("_"))
    if not files:
        raise TargetError(f"{path}: no .py file in this folder")
    return [dataclasses.replace(request, target=str(p)) for p in files]


def settle(request: Request) -> list[Verdict]:
    """Verdicts of one request; a target that cannot be loaded becomes a verdict that says so."""
    try:
        targets = find(request.target, request.options, request.convention)
    except VerifyError as error:
        return [_broken(request, "target", str(error))]
    made = [judge(t, claim=request.claim, **request.settings) for t in targets]
    texts = [f"{k} = {v!r}" for k, v in request.options.items() if isinstance(v, str)]
    if not texts:
        return made
    told = f"options given as text, not as numbers: {', '.join(texts)}"
    return [
        dataclasses.replace(v, findings=(*v.findings, told)) if v.reason == "raises" else v
        for v in made
    ]


def _broken(request: Request, reason: str, text: str) -> Verdict:
    return Verdict(
        target=request.target,
        title=request.target,
        status="error",
        reason=reason,
        findings=(text,),
        claim=request.claim,
        versions=versions(),
    )


def sweep(
    requests: Sequence[Request],
    *,
    record: Path | None = None,
    jobs: int = 1,
    backend: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Verdict]:
    """Judge many targets.

    Args:
        record: JSON-lines file for finished verdicts; read first when it exists.
        jobs: processes; more than one needs joblib.
        backend: joblib backend by name ("loky", "dask", "ray", ...).
        progress: called with (done, all, target) after each target.

    Raises:
        TargetError: no jobs, jobs > 1 without joblib, or a backend that joblib does not have.
    """
    parallel = _parallel(jobs, backend)
    parts = [p for r in requests for p in split(r)]
    keys = [p.key() for p in parts]
    known = _recorded(record)
    todo = [i for i, key in enumerate(keys) if key not in known]
    results: dict[int, list[Verdict]] = {
        i: known[key] for i, key in enumerate(keys) if key in known
    }
    for i, made in _computed([(i, parts[i]) for i in todo], parallel):
        results[i] = made
        if record is not None:
            _append(record, keys[i], made)
        if progress is not None:
            progress(len(results), len(parts), parts[i].target)
    return [v for i in range(len(parts)) for v in results[i]]


def _parallel(jobs: int, backend: str | None) -> Any:
    """joblib's Parallel as asked for; None for one process and no backend.

    Raises:
        TargetError: see sweep().
    """
    if jobs == 0:
        raise TargetError("--jobs must be at least 1, or -1 for all cores; got 0")
    if jobs == 1 and backend is None:
        return None
    try:
        import joblib
    except ImportError as error:
        raise TargetError("several jobs need joblib; pip install joblib, or use one") from error
    try:
        with joblib.parallel_config(backend=backend or "loky"):
            return joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    except (ValueError, ImportError) as error:
        raise TargetError(f"--backend {backend}: joblib cannot use it: {error}") from error


def _computed(
    todo: list[tuple[int, Request]], parallel: Any
) -> Iterator[tuple[int, list[Verdict]]]:
    if parallel is None:
        for i, request in todo:
            yield i, settle(request)
        return
    import joblib

    yield from parallel(joblib.delayed(_numbered)(i, r) for i, r in todo)


def _numbered(i: int, request: Request) -> tuple[int, list[Verdict]]:
    # one thread a process: the work is many small tensors
    import torch

    torch.set_num_threads(1)
    if threading.current_thread() is not threading.main_thread():
        # stdout belongs to all threads
        return i, settle(request)
    with contextlib.redirect_stdout(sys.stderr):
        return i, settle(request)


def _append(record: Path, key: str, verdicts: list[Verdict]) -> None:
    line = json.dumps({"key": key, "verdicts": [_finite(v.as_dict()) for v in verdicts]})
    with record.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _recorded(record: Path | None) -> dict[str, list[Verdict]]:
    """Verdicts of a record file; a last line cut off by a stop is left out."""
    if record is None or not record.exists():
        return {}
    known = {}
    for line in record.read_text(encoding="utf-8").splitlines():
        try:
            data = json.loads(line)
            known[data["key"]] = [_verdict(v) for v in data["verdicts"]]
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return known


def _verdict(data: dict[str, Any]) -> Verdict:
    data = dict(data)
    data["findings"] = tuple(data["findings"])
    data["causes"] = tuple(data["causes"])
    return Verdict(**data)
