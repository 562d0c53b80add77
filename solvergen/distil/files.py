"""The files of an exported student."""

from __future__ import annotations

WEIGHTS, FACTS, FILE, REPORT = "student.safetensors", "student.toml", "student.py", "report.json"
