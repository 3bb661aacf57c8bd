"""Notes to the person who runs a job: what is done without being asked, and what is left out.

They are warnings of the logger "vidstyle.notes", so that they reach whoever listens from however deep: the command line
prints each once beside its bar, and a program attaches a handler of its own.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("vidstyle.notes")
logging.getLogger("vidstyle").addHandler(logging.NullHandler())  # without a listener nothing is printed


def tell(text: str) -> None:
    """Say a sentence to whoever listens."""
    logger.warning("%s", text)
