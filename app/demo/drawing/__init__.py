"""Draws the demo pictures: one scene for each topic, changed by the mood."""
