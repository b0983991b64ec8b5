"""Tests of app/status."""
