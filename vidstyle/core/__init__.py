"""The engine, torch only, pixels to pixels: networks, losses, the iteration, warm start, colour, memory."""
