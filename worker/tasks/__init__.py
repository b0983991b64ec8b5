"""One file of tasks per domain; a task claims its job, calls one service, and ends it."""
