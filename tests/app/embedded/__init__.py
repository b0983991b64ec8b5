"""Tests of app.embedded."""
