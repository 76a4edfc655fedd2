"""Images and pairs of them: fetched, verified, split."""
