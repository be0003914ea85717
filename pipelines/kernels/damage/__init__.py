"""Damage maps compared through time: densities, advection, agreement, and what changed."""
