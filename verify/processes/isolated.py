"""Targets in processes of their own: a hang, an exit, a flood of output or memory ends one verdict.

Processes are forked from a server that has imported torch and the judge once. Each is supervised, so
that what it starts dies with it, and runs under limits on CPU time, wall time and memory; nothing
that it does to torch reaches another target.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from ..report.finite import finite
from ..request import Request
from ..verdict import Verdict
from .settle import broken, settle, verdict_of
from .supervised import DONE, ENDED, STOPPED, Limits, supervised

# wall time may pass without work on a loaded machine
PATIENCE = 4.0
# the linear algebra under numpy, scipy and torch reads these when it is loaded
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class _Running:
    index: int
    process: Any
    pipe: Connection
    begun: float


def judged(
    todo: Sequence[tuple[int, Request]], jobs: int, limits: Limits
) -> Iterator[tuple[int, list[Verdict]]]:
    """Verdicts as they are finished, each request in a process of its own.

    Args:
        todo: requests with their places.
        jobs: processes at a time.
    """
    for index, text in arriving(todo, jobs, limits, _judge_one):
        request = dict(todo)[index]
        if isinstance(text, str):
            yield index, [verdict_of(v) for v in json.loads(text)]
        else:
            yield index, [broken(request, *text)]


def called(
    function: Callable[[Any], str], arguments: Sequence[Any], jobs: int, limits: Limits
) -> list[str | tuple[str, str]]:
    """function(argument) for each argument, in processes of their own.

    Returns:
        The results; (reason, sentence) in place of one that did not come.
    """
    made = dict(arriving(list(enumerate(arguments)), jobs, limits, function))
    return [made[i] for i in range(len(arguments))]


def _judge_one(request: Request) -> str:
    return json.dumps([finite(v.as_dict()) for v in settle(request)])


def arriving(
    todo: Sequence[tuple[int, Any]],
    jobs: int,
    limits: Limits,
    function: Callable[[Any], str],
) -> Iterator[tuple[int, str | tuple[str, str]]]:
    """As called(), each result with its place as soon as it is there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_imported_once(todo))
    with _one_thread():
        forkserver.ensure_running()
    waiting, running, ended = list(todo), list[_Running](), list[tuple[_Running, bool]]()
    try:
        while waiting or running or ended:
            while waiting and len(running) < jobs:
                index, argument = waiting.pop(0)
                here, there = context.Pipe(duplex=False)
                process = context.Process(
                    target=supervised, args=(there, function, argument, limits), daemon=False
                )
                process.start()
                there.close()
                running.append(_Running(index, process, here, time.monotonic()))
            # the next ones have begun while these are taken down
            while ended:
                one, late = ended.pop()
                yield one.index, _collected(one, late, limits)
            wait([r.pipe for r in running], timeout=0.5)
            for one in list(running):
                late = time.monotonic() - one.begun > PATIENCE * limits.seconds
                if one.pipe.poll() or not one.process.is_alive() or late:
                    running.remove(one)
                    ended.append((one, late))
    finally:
        for one in (*running, *(one for one, _ in ended)):
            _end(one)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Whatever is started inside the block computes in one thread; this process keeps its own setting.

    Tables are small: threads would only wait for each other, at several times the CPU time.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _imported_once(todo: Sequence[tuple[int, Any]]) -> list[str]:
    """Modules that the server imports for all targets."""
    named = [r.target for _, r in todo if isinstance(r, Request)]
    hosts = any(name.startswith("diffusers:") for name in named)
    modules = ["judge", "processes.settle", *(["hosts.preloaded"] if hosts else [])]
    # `verify`, or `solvergen.verify` where installed
    judge = __package__.rpartition(".")[0]
    return [f"{judge}.{module}" for module in modules]


def _collected(one: _Running, late: bool, limits: Limits) -> str | tuple[str, str]:
    said = b""
    if one.pipe.poll():
        with contextlib.suppress(EOFError, OSError):
            said = one.pipe.recv_bytes()
    if not said and not late:
        # the supervisor is about to end, with the worker's verdict or without
        one.process.join(timeout=1.0)
    code = one.process.exitcode
    _end(one)
    if said.startswith(DONE):
        return said[len(DONE) :].decode()
    if said.startswith(STOPPED):
        reason, text = json.loads(said[len(STOPPED) :])
        return reason, text
    if late:
        return "hang", f"not done after {PATIENCE * limits.seconds:.0f} s: stopped"
    if code == 0:
        return "exit", f"{ENDED.format(0)}; the target calls os._exit(0)"
    return "killed", "its processes were killed before there was a verdict"


def _end(one: _Running) -> None:
    """End a target's processes: its supervisor ends what the target has started, and itself."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if one.process.pid is not None and one.process.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one.process.pid, number)
        one.process.join(timeout=patience)
    one.pipe.close()
