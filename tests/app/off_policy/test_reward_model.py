import numpy as np
import pytest
from scipy.optimize import minimize

from app.off_policy.reward_model import RIDGE, LogisticModel, place_features, predict_rewards
from app.off_policy.slates import FEATURES, Slate


def slate(unit: str, rewards: list[float], rng: np.random.Generator) -> Slate:
    shown, choices = rng.standard_normal((len(rewards), FEATURES)), rng.standard_normal((6, FEATURES))
    target = np.full((len(rewards), 6), 1 / 6)
    return Slate(unit, np.array(rewards), np.ones(len(rewards)), 0.0, shown, choices, target)


def test_the_fit_is_the_minimum_of_the_penalised_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3)) * [1.0, 5.0, 0.2] + [0.0, 3.0, 1.0]
    y = (rng.random(300) < 1 / (1 + np.exp(-(0.3 + x[:, 0] - 0.2 * x[:, 1])))).astype(float)
    design = np.column_stack([np.ones(300), (x - x.mean(0)) / x.std(0)])
    penalty = np.array([1e-3, RIDGE, RIDGE, RIDGE])

    def loss(beta: np.ndarray) -> float:
        odds = design @ beta
        return float((np.logaddexp(0, odds) - y * odds).sum() + (penalty * beta**2).sum() / 2)

    expected = minimize(loss, np.zeros(4), tol=1e-12).x
    assert LogisticModel(x, y).coefficients == pytest.approx(expected, abs=1e-4)


def test_the_odds_come_apart_into_item_and_place() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((100, 5)), (rng.random(100) < 0.3).astype(float)
    model = LogisticModel(x, y)
    scaled = (x - x.mean(0)) / x.std(0)
    whole = model.coefficients[0] + scaled @ model.coefficients[1:]
    assert model.linear(x[:, :3]) + model.place_part(x[:, 3:]) == pytest.approx(whole)


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_no_success_and_no_failure_can_be_fitted_too(reward: float) -> None:
    rng = np.random.default_rng(2)
    shown, expected = predict_rewards([slate(f"u{n}", [reward] * 3, rng) for n in range(20)])
    assert all(np.abs(one - reward).max() < 0.1 for one in shown)
    assert expected == pytest.approx([3 * reward] * 20, abs=0.3)


def test_nobody_is_predicted_from_what_they_did_themselves() -> None:
    rng = np.random.default_rng(3)
    slates = [slate(f"u{n}", [float(rng.random() < 0.4) for _ in range(3)], rng) for n in range(30)]
    before = predict_rewards(slates)[0][0]
    own = slates[0]
    slates[0] = Slate(own.unit, 1 - own.rewards, own.weights, 0.0, own.shown, own.choices, own.target)
    after = predict_rewards(slates)[0][0]
    assert (before == after).all()


def test_alone_nothing_is_predicted() -> None:
    shown, expected = predict_rewards([slate("u", [1.0, 0.0], np.random.default_rng(4))])
    assert shown[0].tolist() == [0.0, 0.0]
    assert expected.tolist() == [0.0]


def test_places_are_told_apart() -> None:
    assert place_features(3)[:, 1].tolist() == [1.0, 0.5, pytest.approx(1 / 3)]
