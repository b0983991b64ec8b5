"""Experiments: who gets which arm, and what came of it."""
