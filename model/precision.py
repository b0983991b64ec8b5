"""Numbers of a training step: automatic mixed precision, and the loss scaling that half precision needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.options import ConfigError

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO = {"cuda": "bf16"}
"""What `auto` means on a kind of device; fp32 on others."""


class Precision:
    """How a step computes: in which type, with which scale, and how far its gradient may go.

    Raises:
        ConfigError: for fp16 on anything but CUDA.
    """

    def __init__(self, name: str, *, device: str, gradient_clip: float) -> None:
        self._kind = torch.device(device).type
        chosen = AUTO.get(self._kind, "fp32") if name == "auto" else name
        if chosen == "fp16" and self._kind != "cuda":
            raise ConfigError("precision", f"fp16 needs a CUDA device, not {self._kind}")
        self._type = TYPES[chosen]
        self._clip = gradient_clip
        self._scaler = torch.amp.GradScaler(self._kind, enabled=chosen == "fp16")

    def autocast(self) -> torch.autocast:
        """The context in which the loss is computed."""
        return torch.autocast(self._kind, self._type, enabled=self._type is not torch.float32)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of a loss to the parameters'."""
        torch.autograd.backward(self._scaler.scale(loss))

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Changes the parameters, unless half precision has overflowed: then the next scale is smaller."""
        self._scaler.unscale_(optimizer)
        if self._clip:
            parameters = [one for group in optimizer.param_groups for one in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self._clip, foreach=True)
        self._scaler.step(optimizer)
        self._scaler.update()

    def state(self) -> dict[str, float]:
        """What a checkpoint must keep."""
        return dict(self._scaler.state_dict())

    def load_state(self, state: dict[str, float]) -> None:
        """Goes on from a kept state."""
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state)
