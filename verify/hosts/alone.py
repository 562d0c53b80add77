"""Loading one module of a package whose other imports are absent, or with its casts removed.

k-diffusion's package pulls in a training stack that its samplers do not need; diffusers' schedulers
cast to float32, below which their algorithm cannot be seen. Both are loaded from the installed file
under a name of their own, so that the real package stays as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ANYTHING, TargetError

PREFIX = "_judged_"


class PatchedLoader(importlib.machinery.SourceFileLoader):
    """Compiles a source file after replacing text in it; never reads or writes bytecode."""

    def __init__(self, name: str, path: str, changes: tuple[tuple[str, str], ...]) -> None:
        super().__init__(name, path)
        self.changes = changes

    def get_code(self, fullname: str) -> types.CodeType:
        """The code of the changed source."""
        path = self.get_filename(fullname)
        text = Path(path).read_text(encoding="utf-8")
        for old, new in self.changes:
            text = text.replace(old, new)
        return self.source_to_code(text.encode(), path)


DOUBLE = (
    ("torch.float32", "torch.float64"),
    ("np.float32", "np.float64"),
    (".float()", ".double()"),
)


def load_file(
    path: Path, *, name: str | None = None, changes: tuple[tuple[str, str], ...] = ()
) -> types.ModuleType:
    """Import one file under a private name.

    Raises:
        TargetError: the file does not exist or raises while it is imported.
    """
    if not path.is_file():
        raise TargetError(f"{path}: no such file; give a .py file, a folder or module:function")
    name = name or f"{PREFIX}{path.stem}_{abs(hash(str(path.resolve()))) % 10**8}"
    loader = PatchedLoader(name, str(path), changes)
    spec = importlib.util.spec_from_loader(name, loader, origin=str(path))
    if spec is None:
        raise TargetError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except ANYTHING as error:
        sys.modules.pop(name, None)
        raise TargetError(f"{path}: {type(error).__name__} on import: {error}") from error
    return module


def double(module_name: str) -> types.ModuleType:
    """An installed module with its single-precision casts replaced by double ones."""
    package, _, leaf = module_name.rpartition(".")
    importlib.import_module(package)
    found = importlib.util.find_spec(module_name)
    if found is None or found.origin is None:
        raise TargetError(f"{module_name}: not found")
    name = f"{package}.{PREFIX}{leaf}"
    if name in sys.modules:
        return sys.modules[name]
    return load_file(Path(found.origin), name=name, changes=DOUBLE)


def k_diffusion_sampling() -> types.ModuleType:
    """k_diffusion/sampling.py from the installed package, without the package's other imports.

    Raises:
        TargetError: k-diffusion is not installed.
    """
    name = f"{PREFIX}k_diffusion.sampling"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.find_spec("k_diffusion")
    if found is None or not found.submodule_search_locations:
        raise TargetError("k_diffusion: not installed; pip install k-diffusion")
    folder = Path(next(iter(found.submodule_search_locations)))
    package = types.ModuleType(f"{PREFIX}k_diffusion")
    package.__path__ = [str(folder)]
    utils = types.ModuleType(f"{PREFIX}k_diffusion.utils")
    utils.append_dims = _append_dims  # type: ignore[attr-defined]
    package.utils = utils  # type: ignore[attr-defined]
    sys.modules.update({package.__name__: package, utils.__name__: utils})
    with stood_in("torchdiffeq", "torchsde", "tqdm"):
        return load_file(folder / "sampling.py", name=name)


@contextlib.contextmanager
def stood_in(*packages: str) -> Iterator[None]:
    """Stand-ins for packages that are not installed, while a module that imports them is loaded."""
    absent = [m for m in packages if importlib.util.find_spec(m) is None]
    if "tqdm" in absent:
        absent.append("tqdm.auto")
    sys.modules.update({name: _Absent(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


class _Absent(types.ModuleType):
    """Stands for a package that only samplers we cannot judge would use."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if attribute in ("trange", "tqdm"):
            return _silent_range if attribute == "trange" else (lambda items, **_: items)

        def missing(*_: Any, **__: Any) -> Any:
            raise TargetError(f"{self.__name__} is not installed; this sampler needs it")

        return missing


def _silent_range(*args: int, **_: Any) -> range:
    return range(*args)


def _append_dims(x: Any, target: int) -> Any:
    return x[(...,) + (None,) * (target - x.ndim)]
