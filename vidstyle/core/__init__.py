"""The engine, torch only, pixels to pixels: a frame goes in, a painting and the next state come out (`stylizer`).

`networks` and `losses` make the `objective`, `optimize` and `optimizers` minimise it, `temporal` and `warp` are the
warm start, `color` and `colormatch` transfer colours, `stylecolors` those of a job's styles, `probe` measures what fits
the memory, `metrics` compares pictures.
"""
