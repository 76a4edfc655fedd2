"""From embeddings to metrics with their intervals."""
