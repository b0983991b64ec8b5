"""Synthesises the demo sounds: one soundscape for each topic."""
