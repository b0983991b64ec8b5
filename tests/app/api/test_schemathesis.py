"""Random requests made from the OpenAPI document: no 5xx, no status, media type or body that it does not describe.

The requests are the same in every run. More of them: `CROSSAN_SCHEMATHESIS_EXAMPLES=50`.
"""

import os
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import requests
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from app.embedded.services import Endpoints
from tests.app.conftest import _settings
from tests.conftest import _execute, _named
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.operations import Operation, World, make_world, operations_of
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import Template, settings_of

EXAMPLES = int(os.environ.get("CROSSAN_SCHEMATHESIS_EXAMPLES", "3"))
BASE_URL = "http://testserver"
MAX_URL = 60_000
"""Servers and clients refuse longer ones."""
CREDENTIALS = ("authorization", "x-api-key")
NO_WORKER = 504
"""Documented: nobody encodes uploads here."""
ONLY_REAL_IDS = frozenset({"change_key", "revoke_key"})
"""A random number might be that of the key in use."""
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
load_all_checks()
FEW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def trained(template: Template, services: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A copy of the trained service for the module."""
    name = f"schemathesis_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE {template.database}")
    fakes = {modality: FakeEncoder(modality) for modality in ("text", "image")}
    folder = tmp_path_factory.mktemp("schemathesis") / "data"
    base = _settings(folder, _named(services, name), services.redis_url, fakes)
    impatient = settings_of(template, base, folder).model_copy(update={"similar_timeout_s": 0.2})
    with running_service(impatient, fakes) as running:
        yield running
    _execute(services, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def world(trained: Service) -> World:
    return make_world(trained)


class Prober:
    """Sends random requests of one operation at a time and collects what is wrong with the answers."""

    def __init__(self, service: Service, world: World) -> None:
        self.faults: list[str] = []
        self.statuses: Counter[int] = Counter()
        self._client = TestClient(
            service.client.app, raise_server_exceptions=False, headers=dict(service.client.headers)
        )
        self._client.portal = service.client.portal
        self._world = world
        self._schema = schemathesis.openapi.from_dict(service.client.get("/openapi.json").json())
        self._checks = [CHECKS.get_one(name) for name in NAMES]

    def test(self, operation: Operation) -> None:
        """Valid and invalid requests, of things that exist and of things that do not."""
        real = {name: self._world.value(operation, name) for name in operation.parameters}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            self._run(operation, mode, path_parameters=real or None)
        if real and operation.name not in ONLY_REAL_IDS:
            self._run(operation, GenerationMode.POSITIVE)

    def _run(self, operation: Operation, mode: GenerationMode, **fixed: Any) -> None:
        strategy = self._schema[operation.path][operation.method].as_strategy(generation_mode=mode, **fixed)

        @FEW
        @given(case=strategy)
        def send(case: Any) -> None:
            self._send(case)

        try:
            send()
        except Exception as error:
            if type(error).__name__ not in ("Unsatisfiable", "InvalidArgument"):
                raise

    def _send(self, case: Any) -> None:
        if isinstance(case.body, dict) and "wait" in case.body:
            case.body["wait"] = False
        arguments = case.as_transport_kwargs(base_url=BASE_URL)
        prepared = requests.Request(**{key: arguments[key] for key in arguments if key in REQUEST_ARGUMENTS}).prepare()
        headers = {name: value for name, value in prepared.headers.items() if name.lower() not in CREDENTIALS}
        url = str(prepared.url)
        if len(url) > MAX_URL:
            return
        answer = self._client.request(str(prepared.method), url, headers=headers, content=prepared.body)
        self.statuses[answer.status_code] += 1
        if answer.status_code == NO_WORKER:
            return
        try:
            case.validate_response(answer, checks=self._checks)
        except FailureGroup as group:
            reasons = "; ".join(f"{type(one).__name__}: {one}"[:300] for one in group.exceptions)
            self.faults.append(f"{case.operation.label} {answer.status_code}: {reasons}")


REQUEST_ARGUMENTS = ("method", "url", "headers", "params", "cookies", "data", "json", "files")


def of_kind(operations: Sequence[Operation], *, changes: bool) -> list[Operation]:
    """Deletions last."""
    order = {"get": 0, "post": 1, "put": 2, "patch": 3, "delete": 4}
    return sorted((one for one in operations if one.is_read != changes), key=lambda one: order[one.method])


@pytest.mark.parametrize("changes", [False, True], ids=["reads", "writes"])
def test_no_answer_is_other_than_documented(trained: Service, world: World, changes: bool) -> None:
    prober = Prober(trained, world)
    for operation in of_kind(operations_of(trained.client), changes=changes):
        prober.test(operation)
    assert {200, 404, 422} <= set(prober.statuses), "good and bad requests have been among them"
    assert not prober.faults, "\n".join(sorted(set(prober.faults)))
