"""Runs a comparison of methods: reads the folder, starts a process for each part, and shows what comes out."""
