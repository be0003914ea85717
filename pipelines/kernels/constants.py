"""Physical constants, each with its unit and source. Choices of a run are elsewhere."""

import math

# -- the ellipsoid: WGS84 (NIMA TR8350.2, 2000)
WGS84_SEMI_MAJOR = 6_378_137.0
"""Equatorial radius a [m]."""
WGS84_FLATTENING = 1.0 / 298.257223563
"""Flattening f [1]."""
WGS84_SEMI_MINOR = WGS84_SEMI_MAJOR * (1.0 - WGS84_FLATTENING)
"""Polar radius b = a (1 − f) [m]."""
WGS84_E2 = WGS84_FLATTENING * (2.0 - WGS84_FLATTENING)
"""First eccentricity squared e² = f (2 − f) [1]."""

# -- gravity
GM = 3.986004415e14
"""GM of the GRACE Level-2 fields, atmosphere included [m³ s⁻²] (GRACE L2 user handbook)."""
GEOID_RADIUS = 6_378_136.3
"""Reference radius of the GRACE Level-2 fields [m] (GRACE L2 user handbook)."""
GRAVITATIONAL_CONSTANT = 6.67430e-11
"""Newton's G [m³ kg⁻¹ s⁻²] (CODATA 2018)."""
GM_SOLID = 3.986004418e14 - 3.5e8
"""GM of the Earth without its atmosphere [m³ s⁻²] (WGS84 value less GM of the air)."""
EARTH_MASS = GM_SOLID / GRAVITATIONAL_CONSTANT
"""Mass of the Earth without its atmosphere [kg]."""
MEAN_RADIUS = WGS84_SEMI_MAJOR * (1.0 - WGS84_FLATTENING) ** (1.0 / 3.0)
"""Radius of the sphere with the volume of the ellipsoid, 6 371 000.79 m; loads lie on it [m]."""
MEAN_DENSITY = 0.75 * EARTH_MASS / (math.pi * MEAN_RADIUS**3)
"""Mean density of the Earth ρ_e, 5513.4 kg m⁻³ (Wahr et al., 1998, equation 13) [kg m⁻³]."""

# -- time
DAYS_PER_YEAR = 365.25
"""Julian year [d]."""
SECONDS_PER_DAY = 86_400.0
"""Length of a day [s]."""
S2_ALIAS_DAYS = 161.0
"""Alias period of the S2 tide in GRACE [d]. Sasgen et al. (2019, 2.1) swap it with P1's."""
P1_ALIAS_DAYS = 171.0
"""Alias period of the P1 tide in GRACE [d]."""

# -- mass
KG_PER_GT = 1.0e12
"""Kilograms in a gigatonne [kg]."""

# -- sea level
GT_PER_MM_SEA_LEVEL = 361.8
"""Water that lifts the sea by 1 mm [Gt mm⁻¹]: 1000 kg m⁻³ on the 3.618e8 km² of ocean of Charette
and Smith (2010, Oceanography 23(2)). Cogley (2012, Marine Geodesy 35, 379) has 362.5, 0.2 % more.
"""
