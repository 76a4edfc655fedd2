"""From an experiment to a trained network, kept in the store."""
