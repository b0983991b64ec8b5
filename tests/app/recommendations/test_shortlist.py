"""A page from a shortlist is that of a look at every row, or none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.recommendations.candidates import PersonalCandidates
from app.recommendations.options import RankingOptions
from app.recommendations.shortlist import Shortlist, scores_of, shortlists
from app.recommendations.vectors import ItemVectors
from tests.app.recommendations.ranking_world import view_of_vectors

ITEMS, WIDTH = 40, 4


def found(vectors: ItemVectors, user: np.ndarray, count: int, *, ties: np.ndarray) -> Shortlist:
    """What an index gives: the best by their scores, -1 where there are no more."""
    rows = np.flatnonzero(vectors.present)
    scores = scores_of(vectors, rows, user)
    best = np.argsort(-scores, kind="stable")[:count]
    short = (0, count - len(best))
    (shortlist,) = shortlists(
        [user],
        np.pad(rows[best], short, constant_values=-1)[None],
        np.pad(scores[best], short, constant_values=-np.inf)[None],
        revision=vectors.revision,
        ties=ties,
    )
    return shortlist


@given(seed=st.integers(0, 10_000), count=st.integers(1, 50), limit=st.integers(1, 12), share=st.floats(0, 1))
def test_it_is_exact_or_nothing(seed: int, count: int, limit: int, share: float) -> None:
    """Few different vectors, so that many items are equal and ties matter."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-1, 2, (ITEMS, WIDTH)).astype(np.float32)
    view = view_of_vectors(values, ties=rng.permutation(ITEMS))
    assert view.version is not None
    user = rng.standard_normal(WIDTH).astype(np.float32)
    allowed = view.version.vectors.present & (rng.random(ITEMS) < share)
    shortlist = found(view.version.vectors, user, count, ties=view.catalogue.pks)
    everywhere = PersonalCandidates(view, user, allowed, RankingOptions(), now=0.0).best(allowed, limit)
    short = shortlist.best(allowed, limit)
    if short is not None:
        assert short[0].tolist() == everywhere[0].tolist()
        assert short[1].tolist() == everywhere[1].tolist()
    by_both = PersonalCandidates(view, user, allowed, RankingOptions(), now=0.0, shortlist=shortlist)
    assert by_both.best(allowed, limit)[0].tolist() == everywhere[0].tolist()
    if count > ITEMS:
        assert short is not None, "it holds every item"


def test_a_tie_at_its_end_is_not_decided() -> None:
    """Rows 0 to 3 are equal; the shortlist has only two of them, and the lowest tie may be another one."""
    view = view_of_vectors(np.ones((4, 2), np.float32))
    assert view.version is not None
    user = np.ones(2, np.float32)
    two = np.full(2, 2.0, np.float32)
    (shortlist,) = shortlists([user], np.array([[2, 3]]), two[None], revision=1, ties=view.catalogue.pks)
    assert shortlist.best(np.ones(4, bool), 1) is None


def test_users_of_a_batch_are_put_in_order_one_by_one() -> None:
    users = [*np.ones((3, 2), np.float32)]
    rows = np.array([[4, 2, 7], [5, 1, 0], [3, -1, -1]])
    scores = np.array([[9, 8, 7], [9, 9, 7], [9, -np.inf, -np.inf]], np.float32)
    plain, tied, short = shortlists(users, rows, scores, revision=5, ties=np.arange(9))
    assert plain.rows.tolist() == [4, 2, 7]
    assert plain.rest == 7
    assert tied.rows.tolist() == [1, 5, 0]
    assert (short.rows.tolist(), short.scores.tolist(), short.rest) == ([3], [9], -np.inf)
    assert all(one.user is user for one, user in zip([plain, tied, short], users, strict=True))


@pytest.mark.parametrize("among", [[3], [3, 1], list(range(ITEMS))])
def test_a_score_does_not_depend_on_what_stands_beside_it(among: list[int]) -> None:
    rng = np.random.default_rng(0)
    view = view_of_vectors(rng.standard_normal((ITEMS, 64)).astype(np.float32))
    assert view.version is not None
    user = rng.standard_normal(64).astype(np.float32)
    alone = scores_of(view.version.vectors, np.array([3]), user)[0]
    assert scores_of(view.version.vectors, np.array(among), user)[among.index(3)] == alone
