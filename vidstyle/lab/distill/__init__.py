"""Trains compact networks: `python -m vidstyle.lab.distill`."""
