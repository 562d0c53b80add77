"""Many targets: progress, stop and resume, and processes through joblib.

Each finished verdict is appended to a record file at once, so nothing measured is lost when a run
stops; a later run with the same file and settings takes the finished ones from there. With
joblib's parallel_config a Dask or Ray cluster serves the same sweep.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import TargetError, VerifyError
from ..library import expanded
from ..report.finite import finite
from ..request import Request
from ..verdict import Verdict
from .isolated import called, judged
from .settle import broken, settle, verdict_of
from .supervised import Limits

__all__ = ["Limits", "Request", "settle", "split", "sweep"]


def split(request: Request) -> list[Request]:
    """A folder as one request a file, so that each can fail, finish and resume alone."""
    path = Path(request.target)
    if not path.is_dir():
        return [request]
    files = sorted(p for p in path.glob("*.py") if not p.name.startswith("_"))
    if not files:
        raise TargetError(f"{path}: no .py file in this folder")
    return [dataclasses.replace(request, target=str(p)) for p in files]


def single(
    requests: Sequence[Request], every_option: bool, limits: Limits | None
) -> tuple[list[Request], dict[int, Verdict]]:
    """Requests for single samplers, and verdicts on those that could not be expanded.

    Strangers' modules are imported in processes of their own, where there are limits.
    """
    if limits is None:
        return [p for r in requests for p in split(r)], {}
    out: list[Request] = []
    failed: dict[int, Verdict] = {}
    for request in [p for r in requests for p in split(r)]:
        if request.target.startswith("diffusers:") or not _needs_import(request):
            out += expanded(request, every_option)
            continue
        (text,) = called(_names_of, [request], 1, limits)
        if isinstance(text, str):
            data = json.loads(text)
            if isinstance(data, list):
                out += [dataclasses.replace(request, target=name) for name in data]
                continue
            text = "target", str(data)
        failed[len(out)] = broken(request, *text)
        out.append(request)
    return out, failed


def _needs_import(request: Request) -> bool:
    path = Path(request.target)
    if request.target.endswith(":*"):
        return True
    # an emitted file is one sampler, as its text tells
    return (
        path.suffix == ".py"
        and path.is_file()
        and "\ndef sample(" not in path.read_text(encoding="utf-8", errors="replace")
    )


def _names_of(request: Request) -> str:
    """Targets of the samplers in a module or file, as JSON; a sentence when there are none."""
    try:
        return json.dumps([r.target for r in expanded(request, False)])
    except VerifyError as error:
        return json.dumps(str(error))


def sweep(
    requests: Sequence[Request],
    *,
    record: Path | None = None,
    jobs: int = 1,
    backend: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    limits: Limits | None = None,
    every_option: bool = False,
) -> list[Verdict]:
    """Judge many targets.

    Args:
        record: JSON-lines file for finished verdicts; read first when it exists.
        jobs: processes; more than one needs joblib, or limits.
        backend: joblib backend by name ("loky", "dask", "ray", ...).
        progress: called with (done, all, target) after each target.
        limits: judge each target in a process of its own, under these limits.
        every_option: take every documented option of diffusers schedulers in turn.

    Raises:
        TargetError: no jobs, jobs > 1 without joblib, or a backend that joblib does not have.
    """
    if jobs == 0:
        raise TargetError("--jobs must be at least 1, or -1 for all cores; got 0")
    alone = limits if backend is None else None
    parallel = None if alone else _parallel(jobs, backend)
    parts, failed = single(requests, every_option, alone)
    keys = [p.key() for p in parts]
    known = _recorded(record)
    results: dict[int, list[Verdict]] = {i: [v] for i, v in failed.items()}
    results |= {i: known[key] for i, key in enumerate(keys) if key in known and i not in results}
    todo = [(i, parts[i]) for i in range(len(parts)) if i not in results]
    if alone:
        made = judged(todo, _processes(jobs), alone)
    else:
        made = _computed(todo, parallel)
    for i, verdicts in made:
        results[i] = verdicts
        if record is not None:
            _append(record, keys[i], verdicts)
        if progress is not None:
            progress(len(results), len(parts), parts[i].name)
    return [v for i in range(len(parts)) for v in results[i]]


def _processes(jobs: int) -> int:
    return jobs if jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + jobs)


def _parallel(jobs: int, backend: str | None) -> Any:
    """joblib's Parallel as asked for; None for one process and no backend.

    Raises:
        TargetError: see sweep().
    """
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
    line = json.dumps({"key": key, "verdicts": [finite(v.as_dict()) for v in verdicts]})
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
            known[data["key"]] = [verdict_of(v) for v in data["verdicts"]]
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return known
