"""Instruments for measuring, comparing and training; nothing here is needed to paint."""
