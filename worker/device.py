"""Chooses the device that torch computes on."""

import torch


def pick_device(wish: str) -> str:
    """`auto` takes a GPU where there is one; anything else is taken at its word."""
    if wish != "auto":
        return wish
    return "cuda" if torch.cuda.is_available() else "cpu"
