"""The synthetic demo catalogue, generated offline from a seed."""

from app.demo.catalogue import DEMO_END, DemoSummary, generate

__all__ = ["DEMO_END", "DemoSummary", "generate"]
