"""From sums to statements: rates, differences, preferences, and whether the split is the one that was ordered."""

from collections.abc import Mapping, Sequence

from app.experiments.outcomes import ArmOutcome, DraftOutcome
from app.experiments.ratio import Difference, Moments, compare
from app.experiments.running import Arm
from app.experiments.schemas import (
    AgainstFirst,
    ArmResult,
    DifferenceRead,
    Estimated,
    InterleavingResult,
    Preference,
    SampleRatio,
)
from app.experiments.statistics import chi_square_p_value, sign_test_p_value, wilson

MISMATCH = 0.001
"""p below which the sizes of the arms are not chance (Fabijan et al. 2019)."""
FEW_UNITS = 100
NOTHING = ArmOutcome(0, 0, Moments(0, 0, 0, 0, 0, 0), Moments.of_shares(0, 0))


def arm_results(
    arms: Sequence[Arm],
    outcomes: Mapping[str, ArmOutcome],
    by_version: Mapping[tuple[str | None, str | None], int],
) -> list[ArmResult]:
    """Every arm of a split, in their order, each against the first."""
    ordered = [outcomes.get(arm.name, NOTHING) for arm in arms]
    return [
        ArmResult(
            arm=arm.name,
            answers=outcome.answers,
            users=outcome.users,
            units=outcome.clicks.units,
            impressions=round(outcome.clicks.x),
            successes=round(outcome.clicks.y),
            served_otherwise=_served_otherwise(arm, by_version),
            ctr=_estimated(outcome.clicks),
            conversion=_estimated(outcome.conversions),
            against_first=_against(outcome, ordered[0]) if place else None,
        )
        for place, (arm, outcome) in enumerate(zip(arms, ordered, strict=True))
    ]


def _served_otherwise(arm: Arm, by_version: Mapping[tuple[str | None, str | None], int]) -> int:
    if arm.version is None:
        return 0
    return sum(count for (name, version), count in by_version.items() if name == arm.name and version != arm.version)


def _estimated(moments: Moments) -> Estimated:
    interval = moments.interval()
    return Estimated(value=moments.ratio, low=interval.low, high=interval.high)


def _against(outcome: ArmOutcome, first: ArmOutcome) -> AgainstFirst:
    return AgainstFirst(
        ctr=_difference(compare(outcome.clicks, first.clicks)),
        conversion=_difference(compare(outcome.conversions, first.conversions)),
    )


def _difference(found: Difference | None) -> DifferenceRead | None:
    if found is None:
        return None
    return DifferenceRead(
        value=found.value,
        low=found.interval.low,
        high=found.interval.high,
        p_value=found.p_value,
        relative=found.relative,
    )


def sample_ratio(arms: Sequence[Arm], outcomes: Mapping[str, ArmOutcome]) -> SampleRatio | None:
    """Pearson's chi-square of users an arm against the shares; None before there are users.

    Sessions are left out: one session may be many answers, which are not assigned independently.
    """
    users = [outcomes.get(arm.name, NOTHING).users for arm in arms]
    shares, total = sum(arm.share for arm in arms), sum(users)
    if not total:
        return None
    expected = [total * arm.share / shares for arm in arms]
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(users, expected, strict=True))
    p_value = chi_square_p_value(statistic, len(arms) - 1)
    return SampleRatio(p_value=p_value, mismatch=p_value < MISMATCH)


def draft_result(first: Arm, second: Arm, outcome: DraftOutcome) -> InterleavingResult:
    """What an interleaving says; the test is over units, as one user's answers are not independent of each other."""
    decided = outcome.first_preferred + outcome.second_preferred
    share = outcome.second_preferred / decided if decided else None
    interval = wilson(share or 0.0, decided)
    return InterleavingResult(
        first=first.name,
        second=second.name,
        answers=outcome.answers,
        users=outcome.users,
        first_wins=outcome.first_wins,
        second_wins=outcome.second_wins,
        ties=outcome.answers - outcome.first_wins - outcome.second_wins,
        first_successes=outcome.first_successes,
        second_successes=outcome.second_successes,
        preference=Preference(
            units=decided,
            share=share,
            low=interval.low,
            high=interval.high,
            p_value=sign_test_p_value(outcome.first_preferred, outcome.second_preferred),
        ),
    )


def warnings_about(
    arms: Sequence[ArmResult], interleaving: InterleavingResult | None, ratio: SampleRatio | None
) -> list[str]:
    """What keeps the numbers from meaning what they seem to."""
    found: list[str] = []
    if ratio is not None and ratio.mismatch:
        found.append(
            "The arms do not have as many users as their shares say (sample ratio mismatch): "
            "something besides chance sorts them, and the comparison cannot be trusted."
        )
    found.extend(
        f"Arm '{arm.arm}': {arm.served_otherwise} of {arm.answers} answers were made by another version than the arm's."
        for arm in arms
        if arm.served_otherwise
    )
    small = [arm.arm for arm in arms if arm.units < FEW_UNITS]
    if small:
        found.append(f"Fewer than {FEW_UNITS} users and sessions in: {', '.join(small)}. Intervals are rough.")
    if interleaving is not None and interleaving.preference.units < FEW_UNITS:
        found.append(f"Fewer than {FEW_UNITS} users and sessions have preferred either arm.")
    return found
