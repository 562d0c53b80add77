"""Targets that are not there, told from their text alone: nothing heavy is imported for that."""

from __future__ import annotations

from pathlib import Path

from .errors import TargetError


def require(text: str) -> None:
    """Complain about a file or folder that does not exist, or text that names nothing.

    Raises:
        TargetError: with a hint.
    """
    path = Path(text)
    if ":" in text or path.is_dir() or (path.suffix == ".py" and path.is_file()):
        return
    if path.suffix == ".py":
        raise TargetError(f"{text}: no such file; give a .py file, a folder or module:function")
    if path.suffix == ".toml":
        raise TargetError(
            f"{text}: a spec, and what is judged is code; run `solvergen generate {text} --out FOLDER` first, and "
            "give the file that it writes"
        )
    hint = (
        f"; if it is the name of a gallery solver or a fitted table, run `solvergen generate {text}` first and give the file"
        if text.isidentifier()
        else ""
    )
    raise TargetError(
        f"{text}: not a target; give a .py file, a folder, module:function such as "
        f"mypkg.samplers:sample_mine, or diffusers:SchedulerClass{hint}"
    )
