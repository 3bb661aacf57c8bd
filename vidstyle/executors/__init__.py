"""Executors: run units of work that share nothing in other processes, on this machine or on many.

`dispatch` gives units to workers, longest first, and begins one anew whose worker has died; it knows neither painting
nor files. `processes` are workers on this machine, `cluster` those of Ray; `worker` is what runs in each.
"""
