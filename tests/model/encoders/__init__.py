"""Tests of the frozen encoders."""
