"""Landsat scenes as arrays: light, flags, gaps, mosaics and the choice of scenes."""
