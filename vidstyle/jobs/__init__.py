"""Jobs: which frames are painted, in which order, saved and resumed.

`sources` and `balance` are what is painted, `curves` and `retiming` when with which numbers, `sheets` many small ones;
`rendering` is the loop, `shots` and `workers` the same loop on workers; `tasks` is one call of a public function,
`reencode` a finished job encoded anew. `folder` is the job folder, `output` what is made of the painted frames.
"""

from vidstyle.system.collecting import uncollected

with uncollected():
    import torch  # noqa: F401 (before all that needs it: it is most of what is imported)
