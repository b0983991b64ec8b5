"""The `crossan` command: thin code around the REST API, the supervisor and the importer."""
