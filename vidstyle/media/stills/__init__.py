"""Still pictures, from bytes to pixels: `pictures` reads one, `sequence` many of them as a clip.

`filekinds` knows a file by its first bytes, `codecs` is the door to imageio, `decoders` decodes files of others,
`colortags` reads what its header says of its colours, `colorimetry` and `light` make them sRGB.
"""
