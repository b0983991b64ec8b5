"""Plans the demo items: topic, mood, where the mood shows, and which media exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from app.demo.vocabulary import MOOD_WORDS, TOPIC_WORDS

TOPICS: tuple[str, ...] = tuple(TOPIC_WORDS)
MOODS: tuple[str, ...] = tuple(MOOD_WORDS)
MODALITIES: tuple[str, ...] = ("text", "image", "audio", "video")
MINIMUM_ITEMS = len(TOPICS) * len(MOODS)
"""Fewer items than this would leave pairs of topic and mood without any item."""

COLD_SHARE = 0.10
"""Share of the items that no user has touched; as many again are rare."""

_RARE_FACTOR = 0.015
"""What is left of the appeal of a rare item."""

_FULL = frozenset(MODALITIES)
_PARTIAL: tuple[tuple[frozenset[str], float], ...] = (
    (frozenset({"text"}), 0.05),
    (frozenset({"image"}), 0.05),
    (frozenset({"audio"}), 0.04),
    (frozenset({"text", "video"}), 0.04),
    (frozenset({"image", "audio"}), 0.04),
    (frozenset({"text", "audio"}), 0.03),
)
"""Subsets of the modalities with the share of the items that have just these: a quarter in all."""

_CHANNELS: tuple[tuple[str, frozenset[str]], ...] = (
    ("text", frozenset({"text"})),
    ("picture", frozenset({"image", "video"})),
)


@dataclass(frozen=True)
class DemoItem:
    """What one item is about, before anything is written or drawn.

    Attributes:
        item_id: Name that says "demo" wherever it is shown.
        number: Position among the items of the same topic.
        topic: One of `TOPICS`; every medium of the item shows it.
        mood: One of `MOODS`.
        mood_in: Where the mood can be perceived: "text", "picture" (image and video) or "nowhere".
        modalities: Non-empty subset of `MODALITIES`.
        appeal: Weight of the item among its like, moderately skewed; 0 for a cold item.
    """

    item_id: str
    number: int
    topic: str
    mood: str
    mood_in: str
    modalities: frozenset[str]
    appeal: float

    @property
    def cold(self) -> bool:
        """Whether no user ever chooses it."""
        return self.appeal == 0

    @property
    def written_mood(self) -> str | None:
        """The mood its words have, None if they are plain."""
        return self.mood if self.mood_in == "text" else None

    @property
    def drawn_mood(self) -> str | None:
        """The mood its pictures have, None if they are plain."""
        return self.mood if self.mood_in == "picture" else None


def plan_items(count: int, seed: int) -> list[DemoItem]:
    """Spreads `count` items evenly over all pairs of topic and mood.

    Args:
        count: Number of items, at least `MINIMUM_ITEMS`.
        seed: Decides everything that is drawn by lot.

    Returns:
        The items, topics taking turns.

    Raises:
        ValueError: `count` is too small.
    """
    if count < MINIMUM_ITEMS:
        raise ValueError(f"items must be at least {MINIMUM_ITEMS}, got {count}")
    rng = Random(f"plan {seed}")
    subsets = _draw_subsets(count, rng)
    appeals = _draw_appeals(count, rng)
    moods = {topic: _shuffled_moods(-(-count // len(TOPICS)), rng) for topic in TOPICS}
    return [_plan_item(index, moods, subsets[index], appeals[index], rng=rng) for index in range(count)]


def _draw_appeals(count: int, rng: Random) -> list[float]:
    appeals = [rng.lognormvariate(0.0, 0.7) for _ in range(count)]
    scarce = round(count * COLD_SHARE)
    for order, index in enumerate(rng.sample(range(count), 2 * scarce)):
        appeals[index] *= 0.0 if order < scarce else _RARE_FACTOR
    return appeals


def _draw_subsets(count: int, rng: Random) -> list[frozenset[str]]:
    subsets = [subset for subset, share in _PARTIAL for _ in range(round(count * share))]
    subsets += [_FULL] * (count - len(subsets))
    rng.shuffle(subsets)
    return subsets


def _shuffled_moods(count: int, rng: Random) -> list[str]:
    moods = [MOODS[number % len(MOODS)] for number in range(count)]
    rng.shuffle(moods)
    return moods


def _plan_item(
    index: int, moods: Mapping[str, list[str]], modalities: frozenset[str], appeal: float, *, rng: Random
) -> DemoItem:
    number, turn = divmod(index, len(TOPICS))
    topic = TOPICS[turn]
    channels = [channel for channel, seen in _CHANNELS if seen & modalities]
    return DemoItem(
        item_id=f"demo-{topic}-{number + 1:02d}",
        number=number,
        topic=topic,
        mood=moods[topic][number],
        mood_in=rng.choice(channels) if channels else "nowhere",
        modalities=modalities,
        appeal=appeal,
    )
