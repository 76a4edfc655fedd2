"""From figures to tables, claims and plots: what a notebook shows."""
