import subprocess
import sys

import pytest

from model.config import METHODS, ConfigError, parse_config
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


def test_unknown_method() -> None:
    with pytest.raises(ConfigError, match="one of crossan,") as caught:
        parse_config("svd", {})
    assert caught.value.field == "method"


def test_every_method_has_a_builder() -> None:
    assert set(METHODS) == set(REGISTRY)


def test_serving_needs_no_torch() -> None:
    names = ("config", "artifact", "runtime", "metrics", "evaluation.ranking", "evaluation.artifact", "baselines")
    code = f"import sys, {', '.join(f'model.{name}' for name in names)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
