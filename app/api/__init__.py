"""The HTTP edge: routes that parse, call one service, and return."""
