import pytest

from app.experiments.statistics import Interval
from app.off_policy.estimators import Estimate, Estimated, Estimates
from app.off_policy.recorded import Population
from app.off_policy.schemas import Verdict
from app.off_policy.verdict import MAX_UNSUPPORTED, MIN_EFFECTIVE, Tally, conclude

POPULATION = Population(personal=1_000, explored=800, comparable=700)
TALLY = Tally(used=600, users=200, foreign=60, not_reproduced=90, not_personal=10)


def estimates(low: float, high: float, *, size: float = 300.0, unsupported: float = 0.0) -> Estimates:
    middle = Estimate((low + high) / 2, Interval(low, high))
    one = Estimated(candidate=Estimate(1.0, Interval(0.9, 1.1)), difference=middle)
    return Estimates(middle, one, one, one, effective_size=size, unsupported=unsupported, largest_weight=3.0)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (estimates(0.1, 0.3), Verdict.BETTER),
        (estimates(-0.3, -0.1), Verdict.WORSE),
        (estimates(-0.1, 0.3), Verdict.NOT_ENOUGH_EVIDENCE),
        (estimates(0.1, 0.3, size=MIN_EFFECTIVE - 1), Verdict.NOT_ENOUGH_EVIDENCE),
        (estimates(0.1, 0.3, unsupported=MAX_UNSUPPORTED + 0.01), Verdict.NOT_ENOUGH_EVIDENCE),
        (estimates(0.1, 0.3, unsupported=0.6), Verdict.NO_OVERLAP),
        (None, Verdict.NOT_ENOUGH_EVIDENCE),
    ],
)
def test_what_is_said(found: Estimates | None, verdict: Verdict) -> None:
    result = conclude(POPULATION, TALLY, found)
    assert result.verdict == verdict
    assert len(result.explanation) > 30


def test_one_user_is_no_evidence() -> None:
    alone = Estimate(0.2, None)
    one = Estimated(alone, alone)
    found = Estimates(alone, one, one, one, effective_size=300.0, unsupported=0.0, largest_weight=1.0)
    result = conclude(POPULATION, TALLY, found)
    assert result.verdict == Verdict.NOT_ENOUGH_EVIDENCE
    assert result.dr is not None
    assert result.dr.difference.low is None


def test_answers_are_accounted_for() -> None:
    result = conclude(POPULATION, TALLY, estimates(0.1, 0.3))
    assert (result.answers, result.explored, result.not_comparable) == (1_000, 800, 100)
    # 200 did not explore, and 60 of the used say next to nothing of the candidate.
    assert result.without_overlap == pytest.approx(0.26)


def test_without_exploration_there_are_no_numbers() -> None:
    result = conclude(Population(500, 0, 0), Tally(), None)
    assert result.verdict == Verdict.NO_OVERLAP
    assert result.without_overlap == 1.0
    assert result.dr is None
    assert conclude(Population(0, 0, 0), Tally(), None).without_overlap == 1.0
