"""Methods side by side on one catalogue: what is planned, what each run gives, and the table of all."""
