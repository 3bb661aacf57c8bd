"""The job folder: painted frames and states, written atomically, locked, and read again to resume.

`opening` opens one, `checkpoint` is an open one, `manifest`, `journal` and `states` lie in it, `inputs` are the files
that a call reads.
"""
