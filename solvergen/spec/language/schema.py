"""The spec language for machines: the JSON Schema that editors complete and check specs with."""

from __future__ import annotations

from typing import Any

from ..declare import Key, Table
from ..kinds import EXACT_SCHEMA
from . import TABLES, TOP_TABLES


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 7, which TOML editors read) of a spec file."""
    top = _object(TABLES[""])
    tables = {name: _described(TABLES[name]) for name in TABLES if name in TOP_TABLES}
    for dotted, table in TABLES.items():
        outer, _, inner = dotted.partition(".")
        if inner:
            tables[outer]["properties"][inner] = _described(table)
    top["properties"] |= tables
    top["anyOf"] = [{"required": ["step"]}, {"required": ["tableau"]}]
    needs = {name: list(TABLES[name].needs) for name in tables if TABLES[name].needs}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "solvergen spec",
        "description": "A diffusion solver as a short spec.",
        **top,
        "dependencies": needs,
    }


def _described(table: Table) -> dict[str, Any]:
    shape = _object(table) if table.of else {"type": "object", "additionalProperties": EXACT_SCHEMA}
    if table.named:
        shape = {"type": "object", "additionalProperties": shape}
    if table.repeated:
        shape = {"type": "array", "items": shape}
    return {"description": table.doc, **shape}


def _object(table: Table) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _property(key) for name, key in table.keys.items()},
        "required": [name for name, key in table.keys.items() if key.required],
    }


def _property(key: Key) -> dict[str, Any]:
    return {"description": key.doc, **key.kind.schema}
