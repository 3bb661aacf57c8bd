"""Metrics of paintings: temporal consistency, perceptual uniformity, comparison of networks, report of a clip."""
