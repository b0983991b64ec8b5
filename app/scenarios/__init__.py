"""Scenarios: named bundles of ranking options."""
