"""Distillation of compact networks: `python -m vidstyle.lab.distill`."""
