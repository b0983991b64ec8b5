"""In plain words: is the candidate better, worse, or can nobody tell?"""

from dataclasses import dataclass

from app.off_policy.estimators import Estimate, Estimated, Estimates
from app.off_policy.recorded import Population
from app.off_policy.schemas import Bounded, EstimateResult, Estimator, Verdict

MIN_EFFECTIVE = 100.0
"""Below so many effective answers the intervals are too narrow (heavy weights make them so)."""
MAX_UNSUPPORTED = 0.05
"""Above this probability of items that could not have been shown, a part of the candidate is guesswork."""
MOST = 0.5


@dataclass(frozen=True)
class Tally:
    """What became of the answers: how many were used, of how many users, and why others were not.

    Attributes:
        used: that the estimate rests on.
        users: different ones (or sessions) among them.
        foreign: of the used, those whose candidate list could mostly not have been shown.
        not_reproduced: could not be recomputed.
        not_personal: the candidate would have had a fallback.
    """

    used: int = 0
    users: int = 0
    foreign: int = 0
    not_reproduced: int = 0
    not_personal: int = 0


def conclude(population: Population, tally: Tally, estimates: Estimates | None) -> EstimateResult:
    """The result as clients read it; without a used answer there are no numbers at all."""
    verdict, explanation = _judge(population, tally, estimates)
    silent = population.personal - population.explored + tally.foreign
    return EstimateResult(
        verdict=verdict,
        explanation=explanation,
        answers=population.personal,
        explored=population.explored,
        used=tally.used,
        not_comparable=population.explored - population.comparable,
        not_reproduced=tally.not_reproduced,
        not_personal=tally.not_personal,
        users=tally.users,
        without_overlap=silent / population.personal if population.personal else 1.0,
        unsupported=estimates and estimates.unsupported,
        effective_sample_size=estimates and estimates.effective_size,
        largest_weight=estimates and estimates.largest_weight,
        served=estimates and _bounded(estimates.served),
        ips=estimates and _estimator(estimates.ips),
        snips=estimates and _estimator(estimates.snips),
        dr=estimates and _estimator(estimates.dr),
    )


def _judge(population: Population, tally: Tally, estimates: Estimates | None) -> tuple[Verdict, str]:
    if not population.explored:
        return Verdict.NO_OVERLAP, (
            f"None of {population.personal} personal answers explored, so they show only what the version that served "
            "would show: nothing is known of other items. Serve with 'explore' above 0 for a while."
        )
    if estimates is None:
        return Verdict.NOT_ENOUGH_EVIDENCE, (
            f"Of {population.explored} answers with exploration none could be used: "
            f"{population.explored - population.comparable} were not comparable, {tally.not_reproduced} could not be "
            f"recomputed, {tally.not_personal} would not have been personal."
        )
    if estimates.unsupported > MOST:
        return Verdict.NO_OVERLAP, (
            f"With probability {estimates.unsupported:.0%} the candidate shows items that were no candidates of what "
            "served: a larger 'explore_pool' would show them."
        )
    return _judge_numbers(tally, estimates)


def _judge_numbers(tally: Tally, estimates: Estimates) -> tuple[Verdict, str]:
    if estimates.unsupported > MAX_UNSUPPORTED:
        return Verdict.NOT_ENOUGH_EVIDENCE, (
            f"With probability {estimates.unsupported:.0%} the candidate shows items that were no candidates of what "
            "served; what they would earn is guesswork."
        )
    if estimates.effective_size < MIN_EFFECTIVE:
        return Verdict.NOT_ENOUGH_EVIDENCE, (
            f"{tally.used} answers say as much as {estimates.effective_size:.0f} without weights; at least "
            f"{MIN_EFFECTIVE:.0f} are needed for an interval that can be trusted."
        )
    difference = estimates.dr.difference
    if not difference.excludes_zero:
        return Verdict.NOT_ENOUGH_EVIDENCE, "The interval of the difference contains 0 (doubly robust, 95%)."
    words = f"by {abs(difference.value):.3g} successes an answer (doubly robust, 95% interval without 0)."
    if difference.value > 0:
        return Verdict.BETTER, f"The candidate is better {words}"
    return Verdict.WORSE, f"The candidate is worse {words}"


def _bounded(one: Estimate) -> Bounded:
    interval = one.interval
    return Bounded(value=one.value, low=interval and interval.low, high=interval and interval.high)


def _estimator(one: Estimated) -> Estimator:
    return Estimator(candidate=_bounded(one.candidate), difference=_bounded(one.difference))
