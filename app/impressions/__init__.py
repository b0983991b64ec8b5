"""What was shown to whom: recorded answers, attribution of events to them, and metrics from both."""
