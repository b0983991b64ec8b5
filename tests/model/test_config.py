import subprocess
import sys

import pytest

from model.config import METHODS, ConfigError, needs_media, parse_config
from model.methods.registry import REGISTRY


def test_defaults_and_given_values_land_in_their_parts() -> None:
    config = parse_config("crossan", {"item_width": 32, "learning_rate": 1, "heads": 4, "shared_adapters": True})
    assert (config.tower.item_width, config.user_encoder.heads) == (32, 4)
    assert config.optimisation.learning_rate == 1.0
    assert isinstance(config.optimisation.learning_rate, float)
    assert config.tower.shared_adapters is True


def test_hyperparameters_are_read_back() -> None:
    config = parse_config("id", {"epochs": 7, "dropout": 0.4})
    assert parse_config("id", config.hyperparameters()) == config


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", 0, "between 1 and"),
        ("epochs", 2.5, "type int"),
        ("epochs", True, "type int"),
        ("learning_rate", "0.1", "type float"),
        ("learning_rate", float("nan"), "between"),
        ("loss", "triplet", "one of"),
        ("shared_adapters", 1, "type bool"),
        ("heads", 3, "divide item_width"),
        ("epoch", 3, "unknown hyperparameter"),
        ("lora_rank", 3, "unknown hyperparameter; crossan has"),
    ],
)
def test_wrong_values_name_their_field(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_config("crossan", {name: value})
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"negatives": 9}, "negatives: is read only with loss sampled or gbce"),
        ({"loss": "full", "negatives": 9}, "negatives"),
        ({"loss": "gbce", "negative_sampling": "popularity"}, "negative_sampling: is read only with loss sampled"),
        ({"loss": "gbce", "label_smoothing": 0.1}, "label_smoothing"),
        ({"loss": "sampled", "gbce_calibration": 0.5}, "gbce_calibration"),
        ({"score": "cosine", "temperature": 1.0}, "temperature: is read only with score inner"),
        ({"cosine_temperature": 0.1}, "cosine_temperature"),
    ],
)
def test_values_that_nothing_reads_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config("id", options)


def test_what_another_option_makes_of_use_is_accepted_and_defaults_always_are() -> None:
    read = parse_config("id", {"loss": "sampled", "negatives": 9, "score": "cosine", "cosine_temperature": 0.1})
    assert parse_config("id", read.hyperparameters()) == read
    assert parse_config("id", {"loss": "full", "negatives": 256, "temperature": 4.0}).optimisation.loss == "full"


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("iisan", {"side_width": 32}, "side_width: unknown hyperparameter; iisan has"),  # it has the encoders' width
        ("crossan+id", {"cached": False}, "cached: unknown hyperparameter"),
        ("crossan", {"fusion": "concat", "expert": "linear"}, "expert: is read only with fusion experts or top1"),
        ("crossan", {"cross_path": "none", "link_rank": 2}, "link_rank: is read only with cross_path adapted or raw"),
    ],
)
def test_what_a_method_would_not_read_is_refused(method: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config(method, options)


def test_a_methods_own_defaults_are_recorded_and_can_be_changed() -> None:
    recorded = parse_config("iisan", {}).hyperparameters()
    assert (recorded["layer_choice"], recorded["side_layers"]) == ("second", 6)
    assert parse_config("iisan", recorded) == parse_config("iisan", {})
    assert parse_config("iisan", {"side_layers": 3}).tower.side_layers == 3
    assert parse_config("iisan-versa", {}).tower.layer_choice == "groups"


def test_cosine_scores_of_interest_groups_are_refused() -> None:
    with pytest.raises(ConfigError, match="inner with interest_groups") as caught:
        parse_config("crossan", {"interest_groups": 2, "score": "cosine"})
    assert caught.value.field == "score"


def test_unknown_method() -> None:
    with pytest.raises(ConfigError, match="one of crossan,") as caught:
        parse_config("svd", {})
    assert caught.value.field == "method"


@pytest.mark.parametrize(
    ("method", "options", "needed"),
    [
        ("lora", {}, True),
        ("full", {}, True),
        ("crossan", {}, False),
        ("crossan", {"cached": False}, True),
        ("id", {}, False),
    ],
)
def test_which_trainings_run_the_encoders(method: str, options: dict[str, object], needed: bool) -> None:
    assert needs_media(parse_config(method, options)) is needed


def test_every_method_has_a_builder() -> None:
    assert set(METHODS) == set(REGISTRY)


def test_serving_needs_no_torch() -> None:
    names = ("config", "artifact", "runtime", "metrics", "evaluation.ranking", "evaluation.artifact", "baselines")
    code = f"import sys, {', '.join(f'model.{name}' for name in names)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
