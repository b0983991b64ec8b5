"""Tests of the demo sounds."""
