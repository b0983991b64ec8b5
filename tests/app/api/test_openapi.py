from collections.abc import Iterator
from typing import Any

from tests.fixtures.service import Service


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere(shared: Service) -> None:
    document = shared.client.get("/openapi.json").json()
    for reference in set(references(document)):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, reference
            found = found[part]


def test_every_operation_says_what_it_is_for(shared: Service) -> None:
    document = shared.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"


def test_the_pages_are_there(shared: Service) -> None:
    assert shared.client.get("/docs").status_code == 200
    assert shared.client.get("/ui/").status_code == 200
