"""From embeddings to figures of merit with their intervals."""
