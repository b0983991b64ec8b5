"""Measurements: each module prints what it found as JSON."""
