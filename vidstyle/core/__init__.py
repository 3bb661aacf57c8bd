"""The engine, torch only, pixels to pixels: a frame goes in, a painting and the next state come out (`stylizer`).

`networks` and `losses` make the `objective`, `optimize` and `descent` minimise it, `temporal` and `warp` are the warm
start, `color` is what is kept of the content's colours, `probe` what fits the memory, `metrics` how far two are apart.
"""
