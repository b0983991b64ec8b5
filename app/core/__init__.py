"""Configuration, errors, typed jobs and logging: what every other part may import."""
