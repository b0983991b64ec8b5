"""Long work as rows: enqueue with the transaction, claim once, beat while running, sweep what died."""
