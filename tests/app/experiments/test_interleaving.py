import random

import pytest

from app.experiments.interleaving import _coins, team_draft


def slow_team_draft(a: list[int], b: list[int], limit: int, coins: list[int]) -> list[tuple[int, int | None]]:
    """Algorithm 2 of Radlinski, Kurup and Joachims 2008, literally: whoever has fewer, or wins the coin, picks next."""
    drafted: list[tuple[int, int | None]] = []
    teams: tuple[list[int], list[int]] = ([], [])
    flips = iter(coins)
    while any(row not in [*teams[0], *teams[1]] for row in a) and any(row not in [*teams[0], *teams[1]] for row in b):
        first_picks = len(teams[0]) < len(teams[1]) or (len(teams[0]) == len(teams[1]) and next(flips) == 0)
        team, ranking = (0, a) if first_picks else (1, b)
        best = next(row for row in ranking if row not in [*teams[0], *teams[1]])
        teams[team].append(best)
        drafted.append((best, team))
        if len(drafted) == limit:
            return drafted
    rest = [row for row in [*a, *b] if row not in [*teams[0], *teams[1]]]
    return [*drafted, *((row, None) for row in rest)][:limit]


def test_it_agrees_with_the_algorithm_as_published() -> None:
    rng = random.Random(0)
    for seed in range(500):
        pool = range(rng.randint(1, 30))
        a, b = (rng.sample(pool, rng.randint(0, len(pool))) for _ in range(2))
        limit = rng.randint(1, 20)
        assert team_draft(a, b, limit=limit, seed=seed) == slow_team_draft(a, b, limit, [*_coins(100, seed)])


def test_it_is_the_same_for_the_same_answer() -> None:
    seed = (1 << 128) - 1
    a, b = list(range(50)), list(range(49, -1, -1))
    assert team_draft(a, b, limit=20, seed=seed) == team_draft(a, b, limit=20, seed=seed)
    assert team_draft(a, b, limit=20, seed=seed)[:6] == team_draft(a, b, limit=6, seed=seed)


@pytest.mark.parametrize("limit", [1, 5, 10])
def test_over_seeds_the_teams_are_equal(limit: int) -> None:
    a, b, seeds = list(range(20)), [3, 1, 0, 2, *range(19, 3, -1)], 4_000
    lists = [team_draft(a, b, limit=limit, seed=seed) for seed in range(seeds)]
    first = [drafted[0][1] for drafted in lists]
    # Four standard errors of a fair coin.
    assert abs(first.count(0) / seeds - 0.5) < 4 * 0.5 / seeds**0.5
    assert all(abs(sum(1 if team else -1 for _, team in drafted)) <= limit % 2 for drafted in lists)


def test_equal_rankings_are_shown_as_they_are_and_favour_nobody() -> None:
    ranking, seeds = list(range(10)), 4_000
    lists = [team_draft(ranking, ranking, limit=10, seed=seed) for seed in range(seeds)]
    assert all([row for row, _ in drafted] == ranking for drafted in lists)
    for place in range(10):
        wins = sum(drafted[place][1] == 0 for drafted in lists)
        assert abs(wins / seeds - 0.5) < 4 * 0.5 / seeds**0.5


def test_no_row_comes_twice() -> None:
    drafted = team_draft([1, 2, 3, 4], [4, 3, 2, 1], limit=10, seed=5)
    assert sorted(row for row, _ in drafted) == [1, 2, 3, 4]


def test_what_is_left_of_one_ranking_counts_for_neither() -> None:
    drafted = team_draft([1], [2, 3, 4, 5], limit=4, seed=0)
    # The first ranking has one row, so the teams have at most one row each before it is used up.
    assert drafted[-2:] == [(3, None), (4, None)]
    assert team_draft([], [2, 3], limit=4, seed=0) == [(2, None), (3, None)]
    assert team_draft([], [], limit=4, seed=0) == []


def test_what_the_referee_refuses_is_passed_over() -> None:
    class AtMostTwoBelowTen:
        def __init__(self) -> None:
            self.small = 0

        def allows(self, row: int, team: int) -> bool:
            return row >= 10 or self.small < 2

        def note(self, row: int) -> None:
            self.small += row < 10

    for seed in range(20):
        drafted = team_draft([1, 2, 3, 11], [4, 5, 12, 13], limit=9, seed=seed, referee=AtMostTwoBelowTen())
        rows = [row for row, _ in drafted]
        assert set(rows[:2]) == {1, 4}
        assert sorted(rows[2:]) == [11, 12, 13]
