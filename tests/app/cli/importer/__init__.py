"""Tests of app.cli.importer."""
