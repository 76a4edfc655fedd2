"""From a config to a trained network, kept in the cache."""
