"""What the operating system and its libraries are asked, and kept from: nothing here knows of pictures.

`files` and `renames` write files whole or not at all; `signals`, `exits` and `terminal` are how a process ends and
speaks; `limits`, `memory`, `addressspace` and `outofmemory` are its memory; `environment` and `opencv` keep code of the
current folder out; `facts` is what the report of a bug needs.
"""
