"""The process of one target: a worker under limits, and a supervisor that ends all it has started.

The worker judges; the supervisor waits beside it. Whatever the worker starts has the supervisor for
an ancestor, also what has left its session (setsid) or outlived its parent (a double fork): on Linux
the supervisor is made the one that adopts orphans (PR_SET_CHILD_SUBREAPER). Elsewhere what leaves the
session is not found. The supervisor also counts the processes and their memory, which limits on
single processes do not.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

SUBREAPER, DIES_WITH_PARENT = 36, 1
# processes that one target may run at a time
PROCESSES = 64
GLANCE = 0.2
# what follows is a verdict, or why there is none
DONE, STOPPED = b"=", b"!"
ENDED = "the process ended with code {} before there was a verdict"


@dataclass(frozen=True)
class Limits:
    """What one target may use.

    Args:
        seconds: of CPU time; a sleeping target has isolated.PATIENCE times as long.
        memory: bytes beyond what the judge itself holds, for all of its processes together.
    """

    seconds: float = 120.0
    memory: int = 4 * 2**30


def supervised(
    pipe: Connection, function: Callable[[Any], str], argument: Any, limits: Limits
) -> None:
    """Send function(argument) through the pipe, or (reason, sentence); leave no process behind."""
    os.setsid()
    _silent()
    _prctl(SUBREAPER, 1)
    signal.signal(signal.SIGTERM, _stop)
    worker = os.fork()
    if worker == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _work(pipe, function, argument, limits)
    try:
        reason = _watched(worker, limits)
    except _Stopped:
        reason = None
    finally:
        end_tree(worker)
    if reason is not None:
        with contextlib.suppress(OSError):
            pipe.send_bytes(STOPPED + json.dumps(reason).encode())


class _Stopped(BaseException):
    """The judge has no more patience, or has its verdict."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _work(pipe: Connection, function: Callable[[Any], str], argument: Any, limits: Limits) -> None:
    """The worker; never returns."""
    code = 1
    try:
        os.setsid()
        _prctl(DIES_WITH_PARENT, signal.SIGKILL)
        seconds = int(limits.seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        held = _pages(os.getpid(), 0)
        if held:
            resource.setrlimit(resource.RLIMIT_AS, (held + limits.memory, held + limits.memory))
        import torch

        torch.set_num_threads(1)
        pipe.send_bytes(DONE + function(argument).encode())
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(code)


def _watched(worker: int, limits: Limits) -> tuple[str, str] | None:
    """Wait for the worker; why it ended without a verdict, or None."""
    held = _pages(os.getpid(), 1)
    while True:
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            return _why(os.waitstatus_to_exitcode(status), limits)
        family = list(descendants(os.getpid()))
        if len(family) > PROCESSES:
            return "forks", f"it started more than {PROCESSES} processes: stopped"
        # pages that are shared with the judge count once
        grown = sum(max(0, _pages(p, 1) - held) for p in family)
        if grown > limits.memory:
            return "memory", f"its processes hold {grown / 2**30:.1f} GiB together: stopped"
        _reap(worker)
        time.sleep(GLANCE if len(family) > 1 else GLANCE / 4)


def _reap(worker: int) -> None:
    """Orphans that were adopted and have ended."""
    for pid in _children(os.getpid()):
        if pid != worker:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _why(code: int, limits: Limits) -> tuple[str, str] | None:
    if code == 0:
        return None
    if code == -signal.SIGXCPU:
        return "hang", f"not done after {limits.seconds:.0f} s: stopped"
    if code in (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT):
        text = f"the process died of signal {-code}: out of memory, or a fault in native code"
        return "killed", text
    return "exit", ENDED.format(code)


def end_tree(worker: int) -> None:
    """Kill the worker's session and every descendant of this process, until there is none."""
    for _ in range(100):
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(worker, signal.SIGKILL)
        family = list(descendants(os.getpid()))
        if not family:
            return
        # stopped first, so that none starts another while the rest is killed
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in family:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(0.005)


def descendants(pid: int) -> Iterator[int]:
    """Processes that one has started, and those that these have."""
    for child in _children(pid):
        yield child
        yield from descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _pages(pid: int, column: int) -> int:
    """Bytes of a process: 0 virtual, 1 resident; 0 where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
        return int(text.split()[column]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _prctl(option: int, value: int) -> None:
    """Linux's prctl(); nothing elsewhere."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _silent() -> None:
    """Output of strangers goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
