"""Tests of bench.scale."""
