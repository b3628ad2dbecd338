"""The tables of docs/params.md and the JSON schema of params.yaml, made from what the code says of keys."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from expressionist.commands.params_file import CHOOSERS, find_options
from expressionist.params import Params, make_adapter

PAGE = Path("docs/params.md")
SCHEMA = Path("docs/params.schema.json")
_SHIPPED = Path("params.yaml")
_TABLE = re.compile(r"(<!-- keys of ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NEIGHBOUR = re.compile(r"(?<![\w/])(\w+\.md)\b")
_DEFS = "#/$defs/"


def make_schema() -> dict[str, Any]:
    """Make the JSON schema of params.yaml, draft 2020-12, by which editors complete and check it.

    What depends on several keys is not in it.
    """
    from pydantic import TypeAdapter

    plug_ins = [
        (section, word)
        for section, (_, _, list_words) in CHOOSERS.items()
        for word in list_words()
        if find_options(section, word) is not None
    ]
    kinds = {"": Params} | {f"{section}.{word}": find_options(section, word) for section, word in plug_ins}
    adapters = [(name, "validation", make_adapter(kind)) for name, kind in kinds.items()]
    made, shared = TypeAdapter.json_schemas(adapters)  # type: ignore[arg-type]
    defs = {name: _trim(schema) for name, schema in shared["$defs"].items()}
    found = {name: made[name, "validation"]["prefixItems"][0]["$ref"].removeprefix(_DEFS) for name in kinds}
    for kind, _, _ in CHOOSERS.values():
        del defs[kind.__name__]["properties"]["options"]
        defs[kind.__name__]["required"].remove("options")
    for section, word in plug_ins:
        name = found[f"{section}.{word}"]
        # In a section that is not in use, keys may be missing.
        defs[name].pop("required", None)
        defs[CHOOSERS[section][0].__name__]["properties"][word] = {"$ref": _DEFS + name}
    whole = defs.pop(found[""])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": defs}


def _trim(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out titles, which only repeat the keys, and all of a docstring but its first line."""
    trimmed = {name: value for name, value in schema.items() if name != "title"}
    if "description" in trimmed:
        trimmed["description"] = trimmed["description"].splitlines()[0]
    if "properties" in trimmed:
        trimmed["properties"] = {name: _trim(value) for name, value in trimmed["properties"].items()}
    return trimmed


def make_page(page: str, schema: Mapping[str, Any], shipped: Mapping[str, Any]) -> str:
    """Write the tables of a page anew, from schema and params.yaml; what stands around them stays.

    A table stands between ``<!-- keys of SECTION -->`` and ``<!-- end -->``; sections that have the same keys
    may share one, their names separated by commas.
    """

    def write(match: re.Match[str]) -> str:
        (table,) = {"\n".join(_write_table(name, schema, shipped)) for name in match[2].split(", ")}
        return f"{match[1]}{table}\n{match[3]}"

    return _TABLE.sub(write, page)


def _write_table(section: str, schema: Mapping[str, Any], shipped: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | what it may be | as shipped | what it does |"
    yield "|---|---|---|---|"
    found, values = schema, shipped
    for step in section.split("."):
        found, values = _follow(found["properties"][step], schema), values[step]
    single = {"properties": {section: found}}
    for name, said in _list_keys(found if "properties" in found else single, schema):
        value = values
        for step in name.split(".") if "properties" in found else ():
            value = value[step]
        meaning = _NEIGHBOUR.sub(r"[\1](\1)", said["description"])
        written = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
        cells = (f"`{name}`", _say_what(said), f"`{written}`", meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _follow(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference stands for."""
    if "$ref" not in schema:
        return schema
    return whole["$defs"][schema["$ref"].removeprefix(_DEFS)]


def _list_keys(
    section: Mapping[str, Any], whole: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """List the keys of a section and the sections in it, but for plug-ins: of their keys none is required."""
    for name, said in section["properties"].items():
        if "$ref" not in said:
            yield f"{above}{name}", said
        elif "required" in _follow(said, whole):
            yield from _list_keys(_follow(said, whole), whole, f"{above}{name}.")


def _say_what(schema: Mapping[str, Any]) -> str:
    """Say what a value may be."""
    if "anyOf" in schema:
        return f"{_say_what(schema['anyOf'][0])}; or null"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_say_what(schema['items'])}"
    if schema["type"] == "object":
        return f"mapping to {_say_what(schema['additionalProperties'])}"
    kinds = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "string": "text"}
    kind, low, high = kinds[schema["type"]], schema.get("minimum"), schema.get("maximum")
    if low is None:
        return kind
    return f"{kind}, {low:.12g} or more" if high is None else f"{kind}, {low:.12g} to {high:.12g}"


def write_docs() -> None:
    """Write both files anew, in the checkout that is the working directory."""
    schema, shipped = make_schema(), yaml.safe_load(_SHIPPED.read_text(encoding="utf-8"))
    SCHEMA.write_text(f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
    PAGE.write_text(make_page(PAGE.read_text(encoding="utf-8"), schema, shipped), encoding="utf-8")


if __name__ == "__main__":
    write_docs()
