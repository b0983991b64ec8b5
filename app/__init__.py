"""The API process and the shared domain: services, repositories and stores. Never imports torch."""
