"""Team-draft interleaving: two rankings share one list, and what is chosen from it says which is better."""

import hashlib
from collections.abc import Container, Sequence
from typing import Protocol

Drafted = tuple[int, int | None]
"""A row, and the team that it counts for: 0 for the first ranking, 1 for the second, None for neither."""


class Referee(Protocol):
    """Knows what the list may still take in, by the rows that are in it."""

    def allows(self, row: int, team: int) -> bool:
        """Whether the team may add the row now; what is refused once is refused for good."""

    def note(self, row: int) -> None:
        """The row is in the list now."""


class _EverythingGoes:
    def allows(self, row: int, team: int) -> bool:
        return True

    def note(self, row: int) -> None:
        return


EVERYTHING_GOES: Referee = _EverythingGoes()


def team_draft(
    a: Sequence[int], b: Sequence[int], *, limit: int, seed: int, referee: Referee = EVERYTHING_GOES
) -> list[Drafted]:
    """Let two rankings draft in turns (Radlinski, Kurup and Joachims 2008, algorithm 2).

    In every round a coin says who goes first; each adds the best of its ranking that is not in the list yet. Once a
    ranking is used up, the rest of the other fills the list and counts for neither, as nobody has a choice any more.

    Args:
        a: rows of the first ranking, best first, each once.
        b: rows of the second.
        limit: the most rows to return.
        seed: of the coins, below 2^128: the recommendation id as a number.
        referee: rows that it does not allow are passed over.

    Returns:
        Rows with their teams, best first.
    """
    drafted: dict[int, int | None] = {}
    rankings, heads = (a, b), [0, 0]
    coins = _coins(limit, seed)
    for pick in range(limit):
        heads = [_skip(rankings[team], heads[team], drafted, referee, team) for team in (0, 1)]
        if heads == [len(a), len(b)]:
            break
        is_over = heads[0] == len(a) or heads[1] == len(b)
        team = int(heads[0] == len(a)) if is_over else coins[pick // 2] ^ pick % 2
        row = rankings[team][heads[team]]
        drafted[row] = None if is_over else team
        referee.note(row)
    return list(drafted.items())


def _skip(ranking: Sequence[int], head: int, taken: Container[int], referee: Referee, team: int) -> int:
    """The first place from `head` on whose row nobody has, and the team may add."""
    while head < len(ranking) and (ranking[head] in taken or not referee.allows(ranking[head], team)):
        head += 1
    return head


def _coins(limit: int, seed: int) -> list[int]:
    """As many fair coins as a list of `limit` rows has rounds, 0 or 1, by SHAKE128 of the seed."""
    rounds = (limit + 1) // 2
    stream = hashlib.shake_128(b"team draft" + seed.to_bytes(16, "big")).digest((rounds + 7) // 8)
    return [stream[place // 8] >> place % 8 & 1 for place in range(rounds)]
