"""Tests of app/recommendations."""
