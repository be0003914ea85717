"""Stokes coefficients to surface mass: spherical harmonics of the gravity field."""
