import pytest

from model.compare import plan
from model.compare.plan import (
    BASELINES,
    Cell,
    Variant,
    keeps_media,
    parse_overrides,
    parse_subsets,
    parse_variants,
    plan_cells,
    skipped_baselines,
)
from model.config import ConfigError

THERE = ("text", "image", "audio")
WHERE = {"dataset": "d", "device": "cpu", "threads": 1}


def test_variants() -> None:
    found = parse_variants(["crossan, crossan:cross_path=none:dropout=0.1", "crossan+id"])
    assert found == [
        Variant("crossan", "crossan", {}),
        Variant("crossan:cross_path=none:dropout=0.1", "crossan", {"cross_path": "none", "dropout": 0.1}),
        Variant("crossan+id", "crossan+id", {}),
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["crosan"], "'crosan' is none of"),
        (["crossan:fusion"], "KEY=VALUE"),
        (["id,id"], "named twice"),
        ([""], "name at least one"),
    ],
)
def test_variants_that_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_variants(texts)


def test_a_baseline_without_its_library_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "find_spec", lambda name: object() if name == "implicit" else None)
    assert skipped_baselines() == {}
    monkeypatch.setattr(plan, "find_spec", lambda name: None)
    assert set(skipped_baselines()) == {"als"} <= set(BASELINES)


def test_subsets() -> None:
    assert parse_subsets([], THERE) == [THERE]
    assert parse_subsets(["image,text", "text;audio", "text"], THERE) == [("text", "image"), ("text",), ("audio",)]
    assert parse_subsets(["all-subsets"], THERE) == [
        ("text",),
        ("image",),
        ("audio",),
        ("text", "image"),
        ("text", "audio"),
        ("image", "audio"),
        ("text", "image", "audio"),
    ]
    with pytest.raises(ConfigError, match="no item has video"):
        parse_subsets(["text,video"], THERE)


def test_what_is_nearer_to_a_variant_wins() -> None:
    variants = parse_variants(["crossan,crossan:dropout=0.3,id"])
    overrides = parse_overrides(
        ["dropout=0.1", "crossan.dropout=0.2", "side_width=32", "crossan.fusion=mean"], variants
    )
    assert [overrides.of(variant) for variant in variants] == [
        {"dropout": 0.2, "side_width": 32, "fusion": "mean"},
        {"dropout": 0.3, "side_width": 32, "fusion": "mean"},
        {"dropout": 0.1},
    ]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("dropuot=0.1", "no such option of crossan, id"),
        ("id.side_width=8", "no such option of id"),
        ("full.dropout=0.1", "full is not among the methods"),
        ("dropout", "KEY=VALUE"),
    ],
)
def test_overrides_that_nothing_would_read_are_refused(pair: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_overrides([pair], parse_variants(["crossan,id"]))


def planned(
    methods: str, *, seeds: int = 1, settings: tuple[str, ...] = (), modalities: str = "text;text,image"
) -> list[Cell]:
    variants = parse_variants([methods])
    return plan_cells(variants, parse_overrides(settings, variants), parse_subsets([modalities], THERE), seeds=seeds)


def test_baselines_come_once_and_methods_without_content_once_a_seed() -> None:
    cells = planned("crossan,id", seeds=2, settings=("epochs=5", "split=global_time"))
    assert [cell.method for cell in cells[: len(BASELINES)]] == list(BASELINES)
    assert cells[0].options == {"split": "global_time"}
    assert [(cell.label, cell.modalities, cell.seed) for cell in cells[len(BASELINES) :]] == [
        (label, subset, seed)
        for seed in (0, 1)
        for label, subset in (("crossan", ("text",)), ("crossan", ("text", "image")), ("id", ()))
    ]
    assert cells[len(BASELINES) + 1].options == {
        "epochs": 5,
        "split": "global_time",
        "modalities": "text,image",
        "seed": 0,
    }


def test_a_value_that_a_method_does_not_take_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="dropout"):
        planned("crossan", settings=("dropout=2",))


def test_keys_tell_configurations_datasets_and_machines_apart() -> None:
    [plain, other] = planned("crossan", seeds=2, modalities="text")[len(BASELINES) :]
    [same] = planned("crossan:dropout=0.2", modalities="text")[len(BASELINES) :]
    keys = {plain.key(**WHERE), other.key(**WHERE), *(plain.key(**{**WHERE, name: 2}) for name in WHERE)}
    assert len(keys) == 5
    # 0.2 is the default: it is the same run under another label.
    assert same.key(**WHERE) == plain.key(**WHERE)
    assert len({cell.key(**WHERE) for cell in planned("id")}) == len(BASELINES) + 1


def test_media_are_kept_only_for_methods_that_run_the_encoders() -> None:
    assert not keeps_media(planned("crossan,id"))
    assert keeps_media(planned("crossan,full"))


def test_all_rows_have_one_loss_where_encoders_run_in_training() -> None:
    variants = parse_variants(["crossan", "lora", "id", "crossan:loss=gbce"])
    cells = plan_cells(variants, parse_overrides([], variants), [("text",)], seeds=1)
    losses = {cell.label: cell.options.get("loss") for cell in cells if not cell.is_baseline}
    assert losses == {"crossan": "in_batch", "lora": "in_batch", "id": "in_batch", "crossan:loss=gbce": "gbce"}
    alone = plan_cells(variants[:1], parse_overrides([], variants[:1]), [("text",)], seeds=1, baselines=())
    assert "loss" not in alone[0].options
