"""Targets in processes of their own: a hang, an exit, a flood of output or memory ends one verdict.

Processes are forked from a server that has imported torch and the judge once. Each leads a session
of its own, so that what it forks dies with it, and runs under limits on CPU time, wall time and
memory; nothing that it does to torch reaches another target.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from .report.finite import finite
from .request import Request
from .settle import broken, settle, verdict_of
from .verdict import Verdict

GIBIBYTE = 2**30
# wall time may pass without work on a loaded machine
PATIENCE = 4.0


@dataclass(frozen=True)
class Limits:
    """What one target may use.

    Args:
        seconds: of CPU time; a sleeping target has PATIENCE times as long.
        memory: bytes beyond what the judge itself holds.
    """

    seconds: float = 120.0
    memory: int = 4 * GIBIBYTE


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
    for index, text in _served(todo, jobs, limits, _judge_one):
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
    made = dict(_served(list(enumerate(arguments)), jobs, limits, function))
    return [made[i] for i in range(len(arguments))]


def _judge_one(request: Request) -> str:
    return json.dumps([finite(v.as_dict()) for v in settle(request)])


def _served(
    todo: Sequence[tuple[int, Any]],
    jobs: int,
    limits: Limits,
    function: Callable[[Any], str],
) -> Iterator[tuple[int, str | tuple[str, str]]]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"{__package__}.{m}" for m in _imported_once(todo)])
    waiting, running = list(todo), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                index, argument = waiting.pop(0)
                here, there = context.Pipe(duplex=False)
                process = context.Process(
                    target=_inside, args=(there, function, argument, limits), daemon=False
                )
                process.start()
                there.close()
                running.append(_Running(index, process, here, time.monotonic()))
            wait([r.pipe for r in running], timeout=0.5)
            for one in list(running):
                late = time.monotonic() - one.begun > PATIENCE * limits.seconds
                if one.pipe.poll() or not one.process.is_alive() or late:
                    running.remove(one)
                    yield one.index, _collected(one, late, limits)
    finally:
        for one in running:
            _end(one)


def _imported_once(todo: Sequence[tuple[int, Any]]) -> list[str]:
    """Modules that the server imports for all targets."""
    named = [r.target for _, r in todo if isinstance(r, Request)]
    hosts = any(name.startswith("diffusers:") for name in named)
    return ["judge", "settle", *(["hosts.preloaded"] if hosts else [])]


def _collected(one: _Running, late: bool, limits: Limits) -> str | tuple[str, str]:
    text: str | None = None
    if one.pipe.poll():
        with contextlib.suppress(EOFError, OSError):
            text = one.pipe.recv_bytes().decode()
    _end(one)
    if text is not None:
        return text
    code = one.process.exitcode
    if late or code == -signal.SIGXCPU:
        spent = limits.seconds if not late else PATIENCE * limits.seconds
        return "hang", f"not done after {spent:.0f} s: stopped"
    if code in (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT):
        return (
            "killed",
            f"the process died of signal {-code}: out of memory, or a fault in native code",
        )
    return "exit", f"the process ended with code {code} before there was a verdict"


def _end(one: _Running) -> None:
    """End a target's process and whatever it has started."""
    if one.process.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(one.process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.process.pid, signal.SIGKILL)
    one.process.join(timeout=5)
    one.pipe.close()


def _inside(
    pipe: Connection, function: Callable[[Any], str], argument: Any, limits: Limits
) -> None:
    """The child: a session, limits and a silent terminal of its own."""
    os.setsid()
    silent = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(silent, number)
    seconds = int(limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held = _virtual_memory()
    if held:
        resource.setrlimit(resource.RLIMIT_AS, (held + limits.memory, held + limits.memory))
    import torch

    torch.set_num_threads(1)
    pipe.send_bytes(function(argument).encode())


def _virtual_memory() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # no such file on this system: no limit on memory there
        return 0
