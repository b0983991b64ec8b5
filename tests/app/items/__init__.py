"""Tests of items and their media."""
