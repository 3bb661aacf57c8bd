"""Jobs: which frames are painted, in which order, kept and resumed.

`opening` opens a job folder, `checkpoint` is an open one (`manifest`, `journal`, `states`: what lies in it), `inputs`
and `targets` are the files that a call reads and makes, `rendering` is the loop, `tasks` one call of a public function.
"""
