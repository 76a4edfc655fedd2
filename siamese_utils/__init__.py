"""Siamese networks on small images: the package behind the notebooks."""
