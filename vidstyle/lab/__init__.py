"""Instruments: nothing here is needed to paint."""
