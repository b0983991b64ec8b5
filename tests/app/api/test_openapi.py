"""The document says of every operation what a person and a program need: purpose, examples, problems, keys."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from app.api.errors import MEDIA_TYPE
from app.core.types import Scope
from tests.fixtures.service import Service

OPEN = ("/health/", "/metrics", "/problems")
JSON = "application/json"


@pytest.fixture
def document(shared: Service) -> dict[str, Any]:
    found: dict[str, Any] = shared.client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def faults(document: dict[str, Any], is_wrong: Any) -> list[str]:
    return [f"{method} {path}" for path, method, operation in operations(document) if is_wrong(path, method, operation)]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, reference
            found = found[part]


def test_it_is_of_version_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")


def test_each_operation_is_documented_once_below_v1(document: dict[str, Any]) -> None:
    assert [path for path in document["paths"] if not path.startswith(("/v1/", *OPEN))] == []
    assert "/v1/recommend/{user_id}" in document["paths"]


def test_every_operation_says_what_it_is_for(document: dict[str, Any]) -> None:
    assert faults(document, lambda _, __, operation: not operation.get("description")) == []
    assert faults(document, lambda _, __, operation: not operation.get("tags")) == []


def test_ids_of_operations_are_unique_words(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert [one for one in ids if not one.replace("_", "").isalpha() or one != one.lower()] == []


def test_every_operation_but_the_open_ones_wants_a_key_with_a_scope(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if path.startswith(OPEN):
            continue
        scopes = {scope for one in operation["security"] for names in one.values() for scope in names}
        assert len(scopes) == 1, f"{method} {path}"
        assert scopes <= {scope.value for scope in Scope}
        assert {name for one in operation["security"] for name in one} == {"HTTPBearer", "APIKeyHeader"}


def test_problems_are_documented_as_such(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert set(response.get("content", {})) == {MEDIA_TYPE}, f"{method} {path} {status}"
                schema = response["content"][MEDIA_TYPE]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, f"{method} {path} {status}"
        if not path.startswith(OPEN):
            assert {"401", "403", "422", "429", "503"} <= set(operation["responses"]), f"{method} {path}"


def test_every_body_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    wrong = []
    for path, method, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for where, body in bodies.items():
            for kind, media in body.get("content", {}).items():
                examples = [media["example"]] if "example" in media else _values(media.get("examples", {}))
                if not examples:
                    wrong.append(f"{method} {path} {where} {kind}: none")
                if kind in (JSON, MEDIA_TYPE):
                    schema = {**media.get("schema", {}), "components": document["components"]}
                    validator = jsonschema_rs.Draft202012Validator(schema)
                    found = [error for one in examples for error in validator.iter_errors(one)]
                    wrong += [f"{method} {path} {where}: {error.message[:200]}" for error in found]
    assert not wrong, "\n".join(wrong)


def _values(examples: dict[str, Any]) -> list[Any]:
    return [one["value"] for one in examples.values()]


def test_writes_take_an_idempotency_key(document: dict[str, Any]) -> None:
    def lacks(path: str, method: str, operation: dict[str, Any]) -> bool:
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        is_read = method == "get" or path.startswith(("/v1/recommend", "/v1/similar"))
        return ("Idempotency-Key" in names) == is_read

    assert faults(document, lambda path, *rest: not path.startswith(OPEN) and lacks(path, *rest)) == []


def test_the_pages_are_there(shared: Service) -> None:
    assert shared.client.get("/docs").status_code == 200
    assert shared.client.get("/v1/docs").status_code == 200
    assert shared.client.get("/ui/").status_code == 200


def test_the_page_of_the_api_loads_nothing_from_elsewhere(shared: Service) -> None:
    page = shared.client.get("/docs").text
    addresses = [one for one in re.findall(r'(?:src|href)="([^"]+)"', page) if not one.startswith("data:")]
    assert "ui/docs.js" in addresses
    assert [one for one in addresses if "//" in one] == []
    assert {shared.client.get(f"/v1/{one}").status_code for one in addresses} == {200}
