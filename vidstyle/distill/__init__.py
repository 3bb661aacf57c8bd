"""Trains compact networks: `python -m vidstyle.distill`."""
