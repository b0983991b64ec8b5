"""By what a search is made, which nothing but its time tells."""

import pytest

from app.recommendations.search.batch_codes import BatchCodes
from app.recommendations.search.codes import Codes
from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.quantised import QuantisedIndex
from tests.app.recommendations.search.catalogues import catalogue, users

SEARCHES = [(Codes, "best"), (BatchCodes, "shortlist"), (ExactIndex, "search")]


@pytest.mark.parametrize(
    ("count", "k", "by"),
    [
        # 30,000 rows are 118 blocks of 256 in the copy for few users, which is worth it for 29 candidates: 2 (k + 8).
        (1, 6, Codes),
        (3, 6, Codes),
        (4, 6, BatchCodes),
        (2, 7, ExactIndex),
        (3, 7, BatchCodes),
        # They are 1,888 blocks of 16 in the other, and half as many rows make a threshold.
        (33, 936, BatchCodes),
        (33, 937, ExactIndex),
    ],
)
def test_what_is_fastest_is_taken(count: int, k: int, by: type, monkeypatch: pytest.MonkeyPatch) -> None:
    index = QuantisedIndex(catalogue(30_000))
    taken = []
    for kind, name in SEARCHES:
        search = getattr(kind, name)
        monkeypatch.setattr(
            kind, name, lambda self, *args, kind=kind, search=search: taken.append(kind) or search(self, *args)
        )
    index.search(users(count), k)
    assert taken[0] is by
    # Whatever could not be proved is searched for by the exact index.
    assert {*taken} <= {by, ExactIndex}
