"""From frames to files: each format's sink, whole or not at all, and what is given up to fit a size."""
