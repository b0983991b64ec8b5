"""From a configuration and a dataset to the network of a method and the reader of what its tower takes."""

from __future__ import annotations

from dataclasses import dataclass

from model.config import CatalogueShape, TrainingConfig
from model.data.dataset import Dataset
from model.methods.base import ItemInputs
from model.methods.registry import REGISTRY
from model.modules.recommender import Recommender


@dataclass(frozen=True)
class Assembly:
    """What a trainer trains: the network, and where its item tower's inputs come from."""

    network: Recommender
    inputs: ItemInputs


def build_network(config: TrainingConfig, shape: CatalogueShape) -> Recommender:
    """Builds the untrained network of a method, which reads stored states, numbers, or both."""
    method = REGISTRY[config.method]
    return Recommender(method.build_tower(config, shape), method.build_user_encoder(config))


def assemble(config: TrainingConfig, dataset: Dataset, *, device: str) -> Assembly:
    """Builds the network of a method for a dataset, on a device, with the reader of its inputs."""
    method = REGISTRY[config.method]
    inputs = method.build_inputs(config, dataset, device)
    return Assembly(build_network(config, dataset.shape).to(device), inputs)
