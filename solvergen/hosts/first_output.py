"""Hosts that make the model calls themselves, and samplers whose first output needs none."""

from __future__ import annotations

from types import ModuleType


def require_calls(module: ModuleType, host: str) -> None:
    """Refuse a sampler that takes its first output without a model call.

    Args:
        module: an emitted file, imported.
        host: what cannot run it, as the subject of a sentence.

    Raises:
        ValueError: naming the sampler and what runs it.
    """
    if hasattr(module, "FIRST"):
        raise ValueError(
            f"{module.NAME} takes its first output without a model call; {host} calls the model at every "
            "level: use `sample` or Sampler, or remove `first` from [start] of its spec"
        )
