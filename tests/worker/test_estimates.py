"""The estimate task: a version is looked for, and its end is in the row."""

import importlib
from types import ModuleType
from uuid import UUID

from app.db.tables import JobRow
from tests.app.experiments.answers import add_version
from tests.fixtures.service import Service

ORDER = {"types": ["click"], "window_s": 60.0}


def test_a_version_whose_artifact_is_gone_fails_the_estimate(light: Service, worker: ModuleType) -> None:
    add_version(light, 1)
    ordered = light.client.post("/admin/models/v1/estimate", json=ORDER)
    assert ordered.status_code == 202, ordered.text
    job_id = UUID(ordered.json()["id"])
    importlib.import_module("worker.celery_app").celery_app.tasks["crossan.estimate"](str(job_id))
    with light.context.database.transaction() as transaction:
        row = transaction.session.get_one(JobRow, job_id)
        assert (row.state, row.attempts) == ("failed", 1)
        assert "v1" in (row.error or "")
    read = light.client.get(f"/admin/estimates/{job_id}").json()
    assert (read["state"], read["result"]) == ("failed", None)
    assert read["metric"] == ORDER
