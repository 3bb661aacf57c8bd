"""The job folder: what lies in it, written whole or not at all, locked, and read again.

`opening` opens one, `checkpoint` is an open one, `manifest`, `journal` and `states` lie in it, `inputs` are the files
that a call reads.
"""
