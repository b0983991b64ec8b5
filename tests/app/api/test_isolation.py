"""Nothing is reachable across projects: every operation of the OpenAPI document is tried with another project's key."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import inspect, text

from app.core.types import Scope
from app.embedded.services import Endpoints
from tests.app.conftest import _settings
from tests.conftest import _execute, _named
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.operations import CANARY, Operation, World, body_of, make_world, operations_of, strings
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import Template, client_of, settings_of

OWN_THING: Mapping[str, frozenset[int]] = {
    # These name things by ids that clients choose, so they make or ask for the other project's own.
    "recommend": frozenset({200}),
    "put_item": frozenset({201}),
    "put_user": frozenset({201}),
    "put_scenario": frozenset({201}),
    "put_schedule": frozenset({201}),
    "merge_user": frozenset({200}),
    "erase_user": frozenset({200}),
    # The other project has no model that could say what is similar, which is said first.
    "get_similar": frozenset({404, 409}),
}
NOT_FOUND = frozenset({404})


@pytest.fixture(scope="module")
def trained(template: Template, services: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One copy of the trained service for the module: nothing here may change its project."""
    name = f"isolation_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE {template.database}")
    fakes = {modality: FakeEncoder(modality) for modality in ("text", "image")}
    folder = tmp_path_factory.mktemp("isolation") / "data"
    settings = settings_of(template, _settings(folder, _named(services, name), services.redis_url, fakes), folder)
    with running_service(settings, fakes) as running:
        yield running
    _execute(services, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def world(trained: Service) -> World:
    return make_world(trained)


def rows_of(service: Service) -> dict[str, list[str]]:
    """Every row of the service's project, and of tables that belong to none; each as text."""
    found: dict[str, list[str]] = {}
    with service.context.database.transaction() as transaction:
        inspector = inspect(transaction.session.connection())
        for table in inspector.get_table_names():
            columns = {column["name"] for column in inspector.get_columns(table)}
            condition = f"WHERE t.project_id = {service.project}" if "project_id" in columns else ""
            if table == "projects":
                condition = f"WHERE t.id = {service.project}"
            query = text(f"SELECT t::text FROM {table} t {condition} ORDER BY 1")
            found[table] = list(transaction.session.scalars(query))
    return found


def keys_of(service: Service) -> set[bytes]:
    with Redis.from_url(service.settings.redis) as redis:
        return set(redis.keys(f"crossan:*{{{service.project}:*"))


def foreign_ids(world: World, operation: Operation) -> set[str]:
    """Long ids of the project that the request does not name itself."""
    named = {world.value(operation, name) for name in operation.parameters}
    return {value for value in world.values.values() if len(value) > 30} - named


def text_of(answer: Any) -> Any:
    is_json = "json" in answer.headers.get("content-type", "") and answer.content
    return answer.json() if is_json else answer.text


def call(client: TestClient, world: World, operation: Operation, **more: Any) -> Any:
    arguments = body_of(operation)
    headers = {**arguments.pop("headers", {}), **more.pop("headers", {})}
    return client.request(operation.method, world.path(operation), headers=headers, **arguments, **more)


@pytest.mark.filterwarnings("ignore:Did not recognize type")
def test_another_project_reaches_nothing_and_changes_nothing(trained: Service, world: World) -> None:
    stranger = client_of(trained, "stranger")
    before, cached = rows_of(trained), keys_of(trained)
    wrong: list[str] = []
    for operation in operations_of(trained.client):
        answer = call(stranger, world, operation)
        expected = OWN_THING.get(operation.name, NOT_FOUND if operation.parameters else None)
        if expected is not None and answer.status_code not in expected:
            wrong.append(f"{operation.method} {operation.path}: {answer.status_code} {answer.text[:200]}")
        if answer.status_code >= 500:
            wrong.append(f"{operation.method} {operation.path}: {answer.status_code}")
        if CANARY in answer.text or foreign_ids(world, operation) & set(strings(text_of(answer))):
            wrong.append(f"{operation.method} {operation.path} leaks: {answer.text[:200]}")
        if not operation.is_read:
            after = rows_of(trained)
            changed = [table for table in before if before[table] != after[table]]
            if changed:
                wrong.append(f"{operation.method} {operation.path} changes {changed}")
                before = after
    assert not wrong, "\n".join(wrong)
    assert keys_of(trained) == cached


def test_the_ids_are_those_of_real_things(trained: Service, world: World) -> None:
    """Otherwise the test above would pass for any route at all."""
    for operation in operations_of(trained.client):
        if operation.is_read and operation.parameters:
            answer = call(trained.client, world, operation)
            assert answer.status_code < 300, f"{operation.method} {operation.path}: {answer.text[:300]}"


def test_the_project_itself_sees_the_mark(trained: Service, world: World) -> None:
    seen = {
        operation.name
        for operation in operations_of(trained.client)
        if operation.is_read and CANARY in call(trained.client, world, operation).text
    }
    assert {"get_item", "list_items", "get_user", "get_scenario", "list_keys", "get_experiment"} <= seen


def test_a_route_that_nobody_has_described_fails(world: World) -> None:
    new = Operation("/v1/new/{thing}", "get", {"operationId": "new", "parameters": [{"name": "thing", "in": "path"}]})
    with pytest.raises(AssertionError, match="what 'thing' may be"):
        world.path(new)


@pytest.mark.filterwarnings("ignore:Did not recognize type")
def test_without_a_key_or_its_scope_nothing_happens(trained: Service, world: World) -> None:
    operations = operations_of(trained.client)
    poor = {scope: trained.headers(*(set(Scope) - {scope})) for scope in Scope}
    nobody = TestClient(trained.client.app)
    nobody.portal = trained.client.portal
    before = rows_of(trained)
    wrong = []
    for operation in operations:
        assert operation.scope is not None
        for headers, expected in (({}, 401), ({"X-API-Key": "crs_wrong"}, 401), (poor[operation.scope], 403)):
            answer = call(nobody, world, operation, headers=headers)
            if answer.status_code != expected or CANARY in answer.text:
                wrong.append(f"{operation.method} {operation.path}: {answer.status_code} for {expected}")
    assert not wrong, "\n".join(wrong)
    assert rows_of(trained) == before
