"""Training as a service: requests, the data cut, and the way from a cut to a published version."""
