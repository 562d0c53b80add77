"""Latent consistency (Luo et al. 2023): consistency of the guided field, its scale shown."""

from __future__ import annotations

from .consistency import Consistency


class LatentConsistency(Consistency):
    """Consistency distillation from a bank whose teacher is guided: D_u + scale (D_c - D_u).

    Each trajectory has a class and a scale of its own, and the student is given both. Latent
    consistency counts w = scale - 1.
    """
