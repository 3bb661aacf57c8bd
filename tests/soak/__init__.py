"""What is promised of crashes, full disks, two runs at once and read-only places, tried by repeatable scripts.

`pytest tests/soak` tries a selection of each within seconds, `pytest tests/soak --soak` all of it, in an hour or so.
"""
