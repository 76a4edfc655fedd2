"""From metrics to tables, claims and plots: what a notebook shows."""
