"""Headers of the published formats, with what the synthetic world says in their places."""

FIELD = """\
header:
  dimensions:
    degree                :  {j_max}
    order                 :  {j_max}

  non-standard_attributes:
    product_id            : GSM-2
    format_id             :{space}
      short_name          : SHM
      long_name           : Earth Gravity Spherical Harmonic Model Format
    filename_mnemonic     :{space}
      id                  : BB01
      meaning             :{space}
               - MWI range-rate data
               - {j_max}x{j_max} spherical harmonic expansion
               - unconstrained spherical harmonic solution with a boxcar windowing function
    normalization         : fully normalized
    permanent_tide_flag   : inclusive
    earth_gravity_param   :{space}
      long_name           : gravitational constant times mass of Earth
      units               : m3/s2
      value               : 3.9860044150E+14
    mean_equator_radius   :{space}
      long_name           : mean equator radius
      units               : meters
      value               : 6.3781363000E+06
    comments              : formal sigmas are not calibrated


  global_attributes:
    title                 : GRACE Geopotential Coefficients NUNAT RL06
    summary               : Gravity of a synthetic Earth whose ice sheet changes as is known
    project               : Nunatak synthetic world
    program               : Nunatak
    keywords              : GRACE, Level-2, SHM, Gravitational Field, GSM, synthetic
    institution           : NUNAT
    conventions           : CF-1.6, ACDD-1.3, ISO 8601
    history               : Written by pipelines.worlds.gravity_files
    source                : A simulation of GRACE-A and GRACE-B measurements
    platform              : GRACE-A, GRACE-B
    instrument            : ACC,KBR,GPS,SCA
    instrument_vocabulary : NASA Global Change Master Directory instrument keywords
    processing_level      : 2
    acknowledgement       : Not an observation. Layout after the GRACE Level-2 handbook.
    license               : Apache-2.0
    product_version       : RL06
    creator_name          : Nunatak
    creator_type          : group
    creator_institution   : NUNAT
    publisher_name        : Nunatak
    publisher_type        : group
    publisher_institution : NUNAT
    time_coverage_start   : {start}T00:00:00.00
    time_coverage_end     : {stop}T00:00:00.00
    unused_days           : {unused}
    date_created          : 2018-04-30T00:00:00
    date_issued           : 2018-05-01T00:00:00


  variables:
    record_key:
      name                  : GRCOF2
      long_name             : Earth Gravity Spherical Harmonic Model Format Type 2
      data_type             : string
      comment               : 1st column
    degree_index:
      long_name             : spherical harmonic degree l
      data_type             : integer
      comment               : 2nd column
    order_index:
      long_name             : spherical harmonic order m
      data_type             : integer
      comment               : 3rd column
    clm:
      long_name             : Clm coefficient; cosine coefficient for degree l and order m
      data_type             : double precision
      comment               : 4th column
    slm:
      long_name             : Slm coefficient; sine coefficient for degree l and order m
      data_type             : double precision
      comment               : 5th column
    clm_std_dev:
      long_name             : standard deviation of Clm
      data_type             : double precision
      comment               : 6th column; values are uncalibrated
    slm_std_dev:
      long_name             : standard deviation of Slm
      data_type             : double precision
      comment               : 7th column; values are uncalibrated
    epoch_begin_time:
      long_name             : epoch begin of Clm, Slm coefficients
      time_format           : yyyymmdd.hhmm
      data_type             : string
      comment               : 8th column
    epoch_stop_time:
      long_name             : epoch stop of Clm, Slm coefficients
      time_format           : yyyymmdd.hhmm
      data_type             : string
      comment               : 9th column
    solution_flags:
      long_name             : Coefficient adjustment and a priori flags
      coverage_content_type : auxiliaryInformation
      data_type             : byte
      flag_meanings         :{space}
        - char 1 = Clm adjusted, y for yes and n for no
        - char 2 = Slm adjusted, y for yes and n for no
        - char 3 = stochastic a priori info for Clm, y for yes and n for no
        - char 4 = stochastic a priori info for Slm, y for yes and n for no
      comment               : 10th column


# End of YAML header
"""
"""Monthly field, release 6; ``format`` fills in j_max, start, stop, unused and space."""

DEGREE_ONE = """\
GRACE Technical Note 13

TITLE:
	Monthly estimates of degree-1 (geocenter) gravity coefficients of the Nunatak synthetic
	world, in the layout of the note that accompanies GRACE and GRACE-FO solutions.

REFERENCES:
	Sun, Y., R. Riva, and P. Ditmar (2016), Optimizing estimates of annual variations and
	trends in geocenter motion and J2 from a combination of GRACE data and geophysical
	models, J. Geophys. Res. Solid Earth, 121, doi:10.1002/2016JB013073.

DESCRIPTION:
	These coefficients represent the degree 1 gravity coefficients that should be added to the
	GSM coefficients to correct for geocenter motion. They were simulated, not inverted from
	ocean models, and no model of glacial isostatic adjustment was taken out of them.

	To use for land applications, use these coefficients along with GSM coefficients for
	degrees 2 and higher, along with a Degree 1 Love number (k1) = 0.021.

SPECIAL NOTES:
	1) Reported values are anomalies relative to the mean of the synthetic world
	2) The 1-sigma errors are those with which they were simulated

FORMAT:
	The data format is similar to that for GSM files.

# EGM Coefficient Record 2
  variables:
    record_key:
      key_name              : GRCOF2
      long_name             : Earth Gravity Spherical Harmonic Model Format Type
      coverage_content_type : referenceInformation
      data_type             : string
      comment               : 1st column
    degree_index:
      long_name             : spherical harmonic degree l
      coverage_content_type : referenceInformation
      data_type             : int32
      comment               : 2nd column
    order_index:
      long_name             : spherical harmonic order m
      coverage_content_type : referenceInformation
      data_type             : int32
      comment               : 3rd column
    clm:
      long_name             : Clm coefficient; cosine coefficient for degree l and order m
      data_type             : double precision
      comment               : 4th column
    slm:
      long_name             : Slm coefficient; sine coefficient for degree l and order m
      data_type             : double precision
      comment               : 5th column
    clm_std_dev:
      long_name             : standard deviation of Clm
      coverage_content_type : qualityInformation
      data_type             : double precision
      comment               : 6th column;
    slm_std_dev:
      long_name             : standard deviation of Slm
      coverage_content_type : qualityInformation
      data_type             : double precision
      comment               : 7th column;
    epoch_begin_time:
      long_name             : epoch begin of Clm, Slm coefficients
      time_format           : yyyymmdd.hhmm
      coverage_content_type : referenceInformation
      data_type             : string
      comment               : 8th column
    epoch_stop_time:
      long_name             : epoch stop of Clm, Slm coefficients
      time_format           : yyyymmdd.hhmm
      coverage_content_type : referenceInformation
      data_type             : string
      comment               : 9th column
    solution_flags:
      long_name             : Comment when present
      coverage_content_type : referenceInformation
      data_type             : string
      comment               : 10th column

end of header ===============================================================================
"""
"""Technical Note 13."""

LOW_DEGREES = """\
Title: Nunatak synthetic SLR C20 and C30 solutions
Version: 3
Date created: 30 Apr 2018
Description:
   This file contains simulated SLR-derived C20 and C30 values for replacing GSM values
   C30 values are not provided prior to MJD 55987
Citation:
   Layout after Loomis et al., 2020, Geophys. Res. Lett., doi:10.1029/2019GL085488
Notes:
   C20 is zero tide
Format: (F7.1,F10.4,E22.13,2F8.4,E22.13,2F8.4,F8.1,F10.4)
   Column  1: MJD of BEGINNING of solution data span
   Column  2: Year and fraction of year of BEGINNING of solution data span
   Column  3: Replacement C20
   Column  4: Replacement C20 - mean C20 (1.0E-10)
   Column  5: C20 Sigma (1.0E-10)
   Column  6: Replacement C30
   Column  7: Replacement C30 - mean C30 (1.0E-10)
   Column  8: C30 Sigma (1.0E-10)
   Column  9: MJD of END of solution data span
   Column 10: Year and fraction of year of END of solution data span
Constants:
   Mean C20: {c20}
   Mean C30: {c30}
         GM: 0.3986004415E+06 (km^3/s^2)
          R: 6378.1363 (km)
Product:
"""
"""Technical Note 14; ``format`` fills in the means c20 and c30."""

LOVE_NUMBERS = """\
  l    h                 k                   l
************************************************
"""
"""Han and Wahr (1995), as distributed with gravity-toolkit."""

REBOUND = """\
Glacial isostatic adjustment of the Nunatak synthetic world.
Column 1: degree l
Column 2: order m
Column 3: stokes coefficients C in unit [yr^-1]
Column 4: stokes coefficients S in unit [yr^-1]
============================END OF HEADER=============================
"""
"""ICE-6G, as posted for reading by degree and order."""
