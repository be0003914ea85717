"""Plane geometry of polygons in EPSG:3031: gates, slivers, and cells of models."""
