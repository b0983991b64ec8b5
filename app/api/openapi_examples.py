"""Examples for the OpenAPI document: those that a schema brings along, and for the rest values that look like ours."""

import math
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 8

SAMPLES: Mapping[str, Any] = {
    "arm": "control",
    "by": "image",
    "cron": "0 3 * * *",
    "error": None,
    "errors": None,
    "event_id": "order-1001",
    "filter": 'category = "sea" and year >= 2020',
    "id": "0198c6a0-6f7e-7cc2-9a51-3f0d6c1e5b21",
    "item_id": "film-42",
    "key": "crs_…",
    "method": "crossan",
    "modality": "image",
    "model_version": "v3",
    "name": "home",
    "next_cursor": None,
    "prefix": "crs_8Zk2Xq1w",
    "project": "default",
    "recommendation_id": "0198c6a0-6f7e-7cc2-9a51-3f0d6c1e5b21",
    "scenario": "home",
    "secret": "whsec_…",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "title": "Harbour at dawn",
    "url": "https://shop.example/hooks",
    "user_id": "u17",
    "version": "v3",
}
"""By the name of a field."""

_BY_FORMAT = {
    "binary": "",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "person@shop.example",
    "uri": "https://shop.example/",
    "uuid": "0198c6a0-6f7e-7cc2-9a51-3f0d6c1e5b21",
}


class Examples:
    """Makes an example of any schema of one document.

    Args:
        components: the document's schemas by name.
    """

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._components = components

    def of(self, schema: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
        """One value that the schema allows; `name` is that of the field."""
        schema = self.resolved(schema)
        if schema.get("examples"):
            return self._completed(schema["examples"][0], schema, depth)
        if schema.get("enum"):
            return schema["enum"][0]
        for key in ("example", "const"):
            if key in schema:
                return schema[key]
        if (sample := self._sample(schema, name)) is not None:
            return sample
        if schema.get("default") is not None:
            return schema["default"]
        return self._made(schema, name, depth)

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema behind references and `allOf` of one."""
        while True:
            if "$ref" in schema:
                schema = self._components[schema["$ref"].rpartition("/")[2]]
            elif len(schema.get("allOf", ())) == 1:
                schema = {**schema["allOf"][0], **{key: value for key, value in schema.items() if key != "allOf"}}
            else:
                return schema

    def _completed(self, example: Any, schema: Mapping[str, Any], depth: int) -> Any:
        """The example with what the schema requires and it leaves out: null, if that is allowed."""
        schema = self.resolved(schema)
        if isinstance(example, list):
            return [self._completed(one, schema.get("items", {}), depth + 1) for one in example]
        if not isinstance(example, dict) or "properties" not in schema:
            return example
        properties = schema["properties"]
        known = {name: self._completed(value, properties.get(name, {}), depth + 1) for name, value in example.items()}
        missing = [name for name in schema.get("required", ()) if name not in example]
        return {**known, **{name: self._least(properties[name], name, depth) for name in missing}}

    def _least(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        is_null = any(one.get("type") == "null" for one in schema.get("anyOf", ()))
        return None if is_null else self.of(schema, name, depth + 1)

    def _sample(self, schema: Mapping[str, Any], name: str) -> Any:
        types = [one.get("type") for one in (schema, *schema.get("anyOf", ()))]
        text = SAMPLES.get(name)
        return text if text is not None and "string" in types and "pattern" not in schema else None

    def _made(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        choices = [one for key in ("anyOf", "oneOf") for one in schema.get(key, ())]
        if choices:
            is_null = any(one.get("type") == "null" for one in choices)
            filled = [one for one in choices if one.get("type") != "null"]
            return None if is_null and (name in SAMPLES or depth > MAX_DEPTH) else self.of(filled[0], name, depth + 1)
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return [] if depth > MAX_DEPTH or schema.get("maxItems") == 0 else self._array(schema, name, depth)
        return _scalar(schema)

    def _object(self, schema: Mapping[str, Any], depth: int) -> Any:
        if depth > MAX_DEPTH:
            return {}
        return {name: self.of(one, name, depth + 1) for name, one in schema.get("properties", {}).items()}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        if "prefixItems" in schema:
            return [self.of(one, name, depth + 1) for one in schema["prefixItems"]]
        one = self.of(schema.get("items", {}), name.removesuffix("s"), depth + 1)
        return [one] * max(1, schema.get("minItems", 1))


def _scalar(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "string":
        return _BY_FORMAT.get(schema.get("format", ""), "text")
    if kind in ("integer", "number"):
        return _number(schema)
    return {"boolean": True, "null": None}.get(str(kind), {})


def _number(schema: Mapping[str, Any]) -> int | float:
    """One if that is within the bounds, or else what is just within them."""
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    candidates = (1, low, high, above + 1, (low + high) / 2, (above + below) / 2, (low + below) / 2, (above + high) / 2)
    return next(one for one in candidates if low <= one <= high and above < one < below)
