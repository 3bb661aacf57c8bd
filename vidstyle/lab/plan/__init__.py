"""A plan: what a job will take, found out before it is painted.

`probe` measures a few evaluations and a small pilot, `model` makes seconds of them, `estimate` says all as `figures`.
"""
