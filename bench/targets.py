"""Every figure of the bench: what it is, its floor, and what it has to reach."""

from dataclasses import dataclass
from typing import Literal

from bench.measuring import Figure

Direction = Literal["at least", "at most"]
MEASURED = None
"""Target of a figure that is only told."""


@dataclass(frozen=True)
class Target:
    """One line of the table.

    Attributes:
        group: that measures it.
        what: in a few words.
        floor: what the ratio is to.
        unit: of the floor.
        target: of the ratio; None where there is none.
        direction: which way is good.
    """

    group: str
    what: str
    floor: str
    unit: str
    target: float | None
    direction: Direction

    def is_met(self, figure: Figure) -> bool | None:
        """Whether a figure is good enough; None where nothing is asked for."""
        if self.target is None:
            return None
        return figure.ratio >= self.target if self.direction == "at least" else figure.ratio <= self.target


_BARE = ("a bare FastAPI route with the same JSON", "requests/s")
_BYTES = ("one read of the matrix's bytes", "ms")
_COPY = ("a bare COPY of the same rows", "events/s")
_FORWARD = ("the bare encoder's own forward pass", "items/s")

TARGETS: dict[str, Target] = {
    "recommend_cold": Target("serve", "`/recommend`, 1.7k items, vector not cached", *_BARE, 0.35, "at least"),
    "recommend_cached": Target("serve", "`/recommend`, 1.7k items, vector cached", *_BARE, 0.60, "at least"),
    "recommend_100k": Target("serve", "`/recommend`, 100k items, vector not cached", *_BARE, 0.20, "at least"),
    "tail": Target("serve", "its 99th percentile of latency", "the 50th", "ms", 3.0, "at most"),
    "framework": Target(
        "serve", "time of all but Redis, encoder and top-k", "a bare FastAPI route", "us/request", 1.10, "at most"
    ),
    "framework_anew": Target(
        "serve", "the same, each page put together anew", "a bare FastAPI route", "us/request", MEASURED, "at most"
    ),
    "topk_exact": Target("topk", "exact top-10 of 100k items or more", *_BYTES, 1.15, "at most"),
    "topk_8bit": Target("topk", "the same from 8 bits with exact refine", *_BYTES, 0.5, "at most"),
    "topk_batch32": Target("topk", "exact top-10, each of 32 users together", *_BYTES, MEASURED, "at most"),
    "topk_batch32_8bit": Target("topk", "the same from 8 bits with exact refine", *_BYTES, MEASURED, "at most"),
    "topk_hnsw": Target("topk", "top-10 by a graph at recall 0.98", *_BYTES, MEASURED, "at most"),
    "user_encoder": Target("encoder", "user encoder in ONNX Runtime", "torch eager", "us", 0.45, "at most"),
    "user_encoder_batch32": Target(
        "encoder", "32 users of any length together", "one after the other", "us/user", MEASURED, "at most"
    ),
    "user_encoder_int8": Target("encoder", "the same in int8, d 256", "fp32", "us", 0.5, "at most"),
    "libserving": Target(
        "peers", "`/recommend`, as it comes", "LibRecommender's serving (ItemCF)", "requests/s", 20.0, "at least"
    ),
    "libserving_cold": Target(
        "peers", "the same, vector not cached", "LibRecommender's serving (ItemCF)", "requests/s", MEASURED, "at least"
    ),
    "libserving_embed": Target(
        "peers",
        "`/recommend`, as it comes",
        "its serving of vectors made in training",
        "requests/s",
        MEASURED,
        "at least",
    ),
    "implicit_recommend": Target("peers", "one user's top-10, in process", "implicit", "us", MEASURED, "at most"),
    "rectools_recommend": Target("peers", "one user's top-10, in process", "RecTools", "us", MEASURED, "at most"),
    "events": Target("ingest", "events through `/events` to their sequences", *_COPY, MEASURED, "at least"),
    "events_rate": Target("ingest", "the same", "5,000 a second", "events/s", 1.0, "at least"),
    "items_stream": Target(
        "ingest", "an uploaded video, to the blob store", "hashing and copying the bytes", "MB/s", MEASURED, "at least"
    ),
    "encode_text": Target("encode", "encoding of texts", *_FORWARD, 0.85, "at least"),
    "encode_image": Target("encode", "encoding of images", *_FORWARD, 0.85, "at least"),
    "encode_audio": Target("encode", "encoding of audio", *_FORWARD, 0.85, "at least"),
    "encode_video": Target("encode", "encoding of video", *_FORWARD, 0.85, "at least"),
    **{
        f"encode_{modality}_int8": Target(
            "encode", f"the {modality} encoder in int8", "float32", "s", MEASURED, "at most"
        )
        for modality in ("text", "image", "audio", "video")
    },
    "train_step": Target(
        "train",
        "a step of `crossan`, 1.6k items, four modalities",
        "its own matrix products",
        "ms",
        MEASURED,
        "at most",
    ),
    "train_id_epoch": Target("train", "an epoch of `id`", "RecTools SASRec", "s/epoch", MEASURED, "at most"),
    "filter_repeated": Target("filters", "ranking, worst repeated filter", "without one", "ms", MEASURED, "at most"),
    "filter_new": Target("filters", "ranking, worst new filter", "without one", "ms", MEASURED, "at most"),
}
