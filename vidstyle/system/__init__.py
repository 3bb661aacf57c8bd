"""The operating system and its libraries: files, memory, signals, devices; nothing here knows of pictures.

`files` writes files and folders whole or not at all; `signals` and `exits` are how a process ends, `terminal` what it
may print; `ffmpeg` is the only child process; `limits`, `memory` and `outofmemory` are its memory; `devices` is what
torch computes on; `environment` and `opencv` keep code of the current folder out; `libraries` are those that only clips
need; `weightfile` reads files of weights; `values` and `sites` read numbers and sizes as people write them; `notes` and
`stopwatch` say what is done unasked and how long it takes; `facts` is what a bug report needs.
"""
