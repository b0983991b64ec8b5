"""Tests of the demo pictures."""
