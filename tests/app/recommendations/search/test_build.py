import numpy as np
import pytest

from app.recommendations.search import build
from app.recommendations.search.build import build_index
from app.recommendations.search.index import IndexKind
from app.recommendations.search.policy import IndexPolicy
from tests.app.recommendations.search.catalogues import assert_exact, catalogue, clusters, users

SMALL = IndexPolicy(recall=0.95, quantised_from=1_000, hnsw_from=3_000)


@pytest.mark.parametrize(("items", "kind"), [(0, "exact"), (999, "exact"), (1_000, "quantised"), (3_000, "hnsw")])
def test_the_size_chooses(items: int, kind: str) -> None:
    vectors = catalogue(items)
    report = build_index(vectors, SMALL).report
    assert (report.kind, report.items) == (kind, items)
    assert report.reason == f"{items} items: {kind}"
    assert report.build_s > 0


def test_rows_without_a_vector_do_not_count() -> None:
    assert build_index(catalogue(1_500, absent=0.5), SMALL).report.kind == "exact"


@pytest.mark.parametrize("kind", ["exact", "quantised", "hnsw"])
def test_the_operator_chooses(kind: str) -> None:
    report = build_index(catalogue(500), IndexPolicy(kind=kind, recall=0.9)).report
    assert (report.kind, report.reason) == (kind, f"settings: {kind}")


def test_the_graph_is_measured_and_widened() -> None:
    report = build_index(catalogue(3_000), SMALL).report
    assert 0.95 <= report.recall <= 1
    assert report.settings["width"] >= 64


def test_a_graph_that_finds_too_little_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recommendations.search.hnsw.WIDTHS", (1,))
    monkeypatch.setattr("app.recommendations.search.hnsw.SPARE_SHARE", 1)
    vectors = catalogue(5_000, 64)
    index = build_index(vectors, IndexPolicy(kind="hnsw", recall=1.0))
    assert index.report.kind == "quantised"
    assert index.report.reason.startswith("settings: hnsw; hnsw: recall 0.")
    assert_exact(index, vectors, users(2, 64), 10)


def test_codes_that_tell_too_little_apart_give_way() -> None:
    vectors = clusters(5_000, 64, centres=2, spread=1e-4)
    index = build_index(vectors, IndexPolicy(kind="quantised"))
    assert index.report.kind == "exact"
    assert "8 bits tell too few of these vectors apart" in index.report.reason
    assert_exact(index, vectors, users(2, 64), 10)


def test_over_fetching_grows_where_vectors_are_near_each_other() -> None:
    apart = build_index(catalogue(5_000, 64), IndexPolicy(kind="quantised")).report
    near = build_index(clusters(5_000, 64, centres=5, spread=0.3), IndexPolicy(kind="quantised")).report
    assert (apart.kind, near.kind) == ("quantised", "quantised")
    assert apart.settings["over_fetch"] < near.settings["over_fetch"]


@pytest.mark.parametrize("kind", build.BUILDERS)
def test_the_exact_index_stands_behind_every_other(kind: IndexKind) -> None:
    while kind != "exact":
        kind = build.GIVES_WAY_TO[kind]


def test_without_a_database_there_is_no_pgvector() -> None:
    report = build_index(catalogue(500), IndexPolicy(kind="pgvector")).report
    assert (report.kind, report.reason) == (
        "quantised",
        "settings: pgvector; pgvector: these vectors are in no database",
    )


def test_measured_users_are_the_same_each_time() -> None:
    vectors = catalogue(500)
    assert np.array_equal(*(build.truths(vectors, build.ExactIndex(vectors), (10,))[0].users for _ in range(2)))
