"""From a configuration and a dataset to the network of a method and the reader of what its tower takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.config import CatalogueShape, TrainingConfig, needs_media
from model.data.dataset import Dataset, Interactions, TrainingDataError
from model.data.media import MediaInputs, media_of
from model.encoders.parts import EncoderError
from model.encoders.spec import EncoderSpec, SpecError
from model.encoders.trainable import EncoderTower, LoadedEncoder, TrainableEncoder, TunedEncoder, take_apart
from model.methods.base import ItemInputs, Method
from model.methods.registry import REGISTRY
from model.methods.states import expect_raw, standardise_ahead
from model.modules.recommender import Recommender
from model.modules.score import SCORES


@dataclass(frozen=True)
class Sample:
    """What a network is prepared on, before it is trained.

    Attributes:
        items: int64 [n], some that can be described.
        train: the events to learn from.
    """

    items: Tensor
    train: Interactions


@dataclass(frozen=True)
class Assembly:
    """What a trainer trains: the network, and where its item tower's inputs come from."""

    network: Recommender
    inputs: ItemInputs


def build_network(config: TrainingConfig, shape: CatalogueShape) -> Recommender:
    """Builds the untrained network of a method, which reads stored states, numbers, or both."""
    method = REGISTRY[config.method]
    score = SCORES[config.optimisation.score]
    return Recommender(method.build_tower(config, shape), method.build_user_encoder(config), score)


def assemble(config: TrainingConfig, dataset: Dataset, *, device: str, sample: Sample | None = None) -> Assembly:
    """Builds the network of a method for a dataset, on a device, with the reader of its inputs.

    Where encoders run in training, they are put before what would read their stored states.

    Args:
        config: names the method.
        dataset: with media, if the method needs them.
        device: of torch.
        sample: shows the tower what stored states look like and what users did; None leaves it as built.

    Raises:
        TrainingDataError: media are missing, or an encoder cannot be trained in this way.
    """
    method = REGISTRY[config.method]
    inputs = method.build_inputs(config, dataset, device)
    network = build_network(config, dataset.shape).to(device)
    if sample is not None:
        method.prepare(network.tower, inputs.gather(sample.items), sample.train)
    if not needs_media(config):
        if sample is not None:
            standardise_ahead(network.tower, inputs)
        return Assembly(network, inputs)
    with torch.random.fork_rng(devices=[]):  # what encoders draw while they are loaded changes nothing else
        loaded = [load_for_training(table.spec, method, config) for table in media_of(dataset)]
    encoders = [
        TrainableEncoder(
            encoder,
            [] if method.select_layers is None else method.select_layers(config, modality),
            modality.width,
            checkpointing=config.optimisation.activation_checkpointing,
        )
        for encoder, modality in zip(loaded, dataset.shape.modalities, strict=True)
    ]
    whole = network.with_tower(EncoderTower(encoders, network.tower))
    media = MediaInputs(dataset, [encoder.parts.frontend for encoder in loaded], device=device)
    return Assembly(whole.to(device), media)


def load_for_training(spec: EncoderSpec, method: Method, config: TrainingConfig) -> LoadedEncoder:
    """Loads an encoder of which those weights train that the method trains; none if it leaves encoders as they are.

    Raises:
        TrainingDataError: it cannot be loaded, or has nothing that the method could train.
    """
    try:
        encoder = take_apart(spec)
        if method.adapt is None:
            encoder.parts.tower.requires_grad_(False)
            return encoder
        tower = method.adapt(encoder.parts.tower, config)
    except (SpecError, EncoderError) as error:
        raise TrainingDataError(f"the {spec.modality} encoder cannot be used by {config.method}: {error}") from error
    return replace(encoder, parts=replace(encoder.parts, tower=tower))


def separate(network: Recommender) -> tuple[Recommender, Mapping[str, TunedEncoder]]:
    """Takes a trained network apart: what reads stored states and is served, and the encoders that changed."""
    tower = network.tower
    expect_raw(tower)
    if not isinstance(tower, EncoderTower):
        return network, {}
    tuned = (encoder.tuned() for encoder in tower.trainable() if encoder.trains)
    return network.with_tower(tower.head).eval(), {one.spec.modality: one for one in tuned}
