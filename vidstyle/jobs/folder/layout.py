"""The names of what lies in a job folder."""

from __future__ import annotations

import re

MANIFEST, JOURNAL, LOG = "manifest.json", "journal.jsonl", "job.log"
FRAME, STATE = "frames/{:06d}.png", "states/{:06d}.safetensors"
FOLDERS = ("frames", "states")
REDO, REDONE = "redo", "redone"  # job folders within one: frames that are painted again, and those that are whole
OURS = re.compile(
    r"(redo/|redone/)?(manifest\.json|journal\.jsonl|job\.log|frames/\d{6,}\.png|states/\d{6,}\.safetensors)(\.part)?"
)
