"""The operating system and its libraries: files, memory, signals, devices; nothing here knows of pictures.

`files` and `renames` write files whole or not at all; `signals`, `exits` and `terminal` are how a process ends and
speaks; `ffmpeg` is the only child process; `limits`, `memory`, `addressspace` and `outofmemory` are its memory;
`devices` is what torch computes on; `environment` and `opencv` keep code of the current folder out; `libraries` are
those that only clips need; `weightfile` reads files of weights; `values` and `places` read numbers and sizes as people
write them; `notes` and `stopwatch` say what is done unasked and how long it takes; `facts` is what a bug report needs.
"""
