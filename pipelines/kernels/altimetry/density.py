"""From height to mass: the four density models of Sasgen et al. (2019), appendix A.

Every model is linear in the elevation rate h, so the members of an ensemble of n rates mix 2 n + 1
fields at most: the rates, the rates times a map of densities ρ*, and one constant::

    ice                  σ = ρ_ice h
    mean                 σ = ρ_mean h
    fast_or_lowering     σ = ρ* h                       ρ*: ice where fast or lowering, else snow
    surface_processes    σ = ρ_ice (h − h_S) + σ_SMB    equation A1

With 28 rates and all models, 112 members of 57 fields: :func:`basis_fields` and
:func:`mixing_matrix`; :func:`expand` writes all of them out, slowly, and is the oracle of both.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]

DensityModel = Literal["ice", "mean", "fast_or_lowering", "surface_processes"]
DENSITY_MODELS: tuple[DensityModel, ...] = get_args(DensityModel)
"""The models in the order of the paper."""

ICE_DENSITY = 910.0
"""Density of what ice flow brings or takes [kg m⁻³] (Sasgen et al., 2019, appendix A)."""
MEAN_DENSITY = 650.0
"""Half ice, half snow, rounded as the paper does [kg m⁻³]."""
SNOW_DENSITY = 300.0
"""Density of snowfall anomalies [kg m⁻³]; the paper also uses 600."""

NEEDED = {
    "fast_or_lowering": "the density map ρ* (from the speed of the ice, inputs.velocity)",
    "surface_processes": "trends of firn and SMB, h_S and σ_SMB (inputs.surface_processes)",
}
"""What a model needs besides elevation rates, and where a run file names it."""


class DensityError(ValueError):
    """Density models or fields that cannot be used."""


def fast_or_lowering_density(
    speed: FLOAT,
    elevation_rate: FLOAT,
    *,
    fast: float,
    lowering: float,
    ice: float = ICE_DENSITY,
    snow: float = SNOW_DENSITY,
) -> FLOAT:
    """Return ρ*: ice where flow is fast or the surface lowers fast, snow elsewhere.

    Parameters
    ----------
    speed : ndarray, shape (...)
        Speed of the ice [m yr⁻¹].
    elevation_rate : ndarray, shape (...)
        Rate of elevation that tells what lowers fast [m yr⁻¹]: the mean of the ensemble for one
        map for all members (record 0012), or all members, shape (n, ...), to judge each by itself.
    fast : float
        Speed from which ice counts as fast [m yr⁻¹].
    lowering : float
        Rate of lowering, positive, from which ice counts as lowering fast [m yr⁻¹].
    ice, snow : float
        Densities [kg m⁻³].

    Returns
    -------
    ndarray, shape (...)
        ρ* [kg m⁻³]; NaN where speed or rate is.

    Raises
    ------
    DensityError
        Densities or thresholds that are not positive.

    Examples
    --------
    >>> fast_or_lowering_density(
    ...     np.array([400.0, 1.0, 1.0]), np.array([0.0, -0.5, 0.5]), fast=50.0, lowering=0.3
    ... ).tolist()
    [910.0, 910.0, 300.0]
    """
    if not (fast >= 0.0 and lowering >= 0.0 and ice > 0.0 and snow > 0.0):
        msg = (
            f"found thresholds {fast:g} m/yr and {lowering:g} m/yr, densities {ice:g} and "
            f"{snow:g} kg m-3; expected thresholds of zero or more and positive densities"
        )
        raise DensityError(msg)
    is_ice = (speed >= fast) | (elevation_rate <= -lowering)
    unknown = np.isnan(speed) | np.isnan(elevation_rate)
    return np.where(unknown, np.nan, np.where(is_ice, ice, snow))


def surface_process_constant(
    surface_elevation_rate: FLOAT, surface_mass_rate: FLOAT, *, ice: float = ICE_DENSITY
) -> FLOAT:
    """Return what equation A1 adds to ρ_ice h.

    ::

        σ_SMB − ρ_ice h_S        Sasgen et al. (2019), equation A1

    Parameters
    ----------
    surface_elevation_rate : ndarray, shape (...)
        Rate of elevation by snowfall variability and firn densification, h_S [m yr⁻¹].
    surface_mass_rate : ndarray, shape (...)
        Rate of mass by anomalies of surface mass balance, σ_SMB [kg m⁻² yr⁻¹].
    ice : float
        ρ_ice [kg m⁻³].

    Returns
    -------
    ndarray, shape (...)
        Constant of all members [kg m⁻² yr⁻¹]; NaN where either is missing.
    """
    return np.asarray(surface_mass_rate - ice * surface_elevation_rate)


def field_names(heights: int, models: Sequence[str]) -> tuple[str, ...]:
    """Return what each basis field is: ``h:i``, ``rho_h:i``, ``constant``.

    Examples
    --------
    >>> field_names(2, ["ice", "fast_or_lowering", "surface_processes"])
    ('h:0', 'h:1', 'rho_h:0', 'rho_h:1', 'constant')
    """
    _check(heights, models)
    plain = any(model != "fast_or_lowering" for model in models)
    names = [f"h:{i}" for i in range(heights)] if plain else []
    if "fast_or_lowering" in models:
        names += [f"rho_h:{i}" for i in range(heights)]
    if "surface_processes" in models:
        names.append("constant")
    return tuple(names)


def basis_field(name: str, elevation_rate: FLOAT, density: FLOAT, constant: FLOAT) -> FLOAT:
    """Return one basis field, by a name of :func:`field_names`.

    Parameters
    ----------
    name : str
        What it is; its number is not looked at.
    elevation_rate : ndarray, shape (...)
        The rate of that member [m yr⁻¹].
    density, constant : ndarray, shape (...)
        ρ* [kg m⁻³], and the constant of equation A1 [kg m⁻² yr⁻¹].

    Returns
    -------
    ndarray, shape (...)
        [m yr⁻¹] for ``h``, else [kg m⁻² yr⁻¹]: the mixing brings the density of ``h``.
    """
    kind = name.partition(":")[0]
    if kind == "h":
        return elevation_rate
    return density * elevation_rate if kind == "rho_h" else constant


def basis_fields(
    elevation_rates: FLOAT,
    density: FLOAT | None = None,
    constant: FLOAT | None = None,
    *,
    models: Sequence[str] = DENSITY_MODELS,
) -> Iterator[FLOAT]:
    """Return the basis fields, made one at a time, in the order of :func:`field_names`.

    Parameters
    ----------
    elevation_rates : ndarray, shape (n, ...)
        Rates h_i [m yr⁻¹]; anything that gives one when indexed with i, such as a stored array.
    density : ndarray, shape (...) or (n, ...), optional
        ρ* [kg m⁻³], one map or one for each rate.
    constant : ndarray, shape (...), optional
        Of equation A1, see :func:`surface_process_constant` [kg m⁻² yr⁻¹].
    models : sequence of str
        Density models, each once.

    Returns
    -------
    iterator of ndarray, shape (...)
        See :func:`basis_field`; NaN where an input is. A sum over all fields that weighs one with
        zero is NaN there too: fill gaps before, or mix only what a row of the mixing holds.

    Raises
    ------
    DensityError
        A field that a model needs is missing, or has another shape than the rates.
    """
    names = field_names(len(elevation_rates), models)
    _require(models, {"fast_or_lowering": density, "surface_processes": constant})
    shape = tuple(elevation_rates.shape)
    _require_shape("the density map", density, (shape[1:], shape))
    _require_shape("the constant of equation A1", constant, (shape[1:],))
    nothing = np.empty(0)
    rho = nothing if density is None else density
    each = rho.shape == shape

    def made(name: str) -> FLOAT:
        number = int(name.partition(":")[2] or 0)
        rate = nothing if name == "constant" else np.asarray(elevation_rates[number])
        local = rho[number] if each else rho
        return basis_field(name, rate, local, nothing if constant is None else constant)

    return (made(name) for name in names)


def expand(
    elevation_rates: FLOAT,
    density: FLOAT | None = None,
    surface_elevation_rate: FLOAT | None = None,
    surface_mass_rate: FLOAT | None = None,
    *,
    models: Sequence[str] = DENSITY_MODELS,
    ice: float = ICE_DENSITY,
    mean: float = MEAN_DENSITY,
) -> FLOAT:
    """Write out every member, as appendix A does: the slow oracle of basis and mixing.

    Parameters
    ----------
    elevation_rates : ndarray, shape (n, ...)
        Rates h_i [m yr⁻¹].
    density : ndarray, shape (...) or (n, ...), optional
        ρ* [kg m⁻³].
    surface_elevation_rate, surface_mass_rate : ndarray, shape (...), optional
        h_S [m yr⁻¹] and σ_SMB [kg m⁻² yr⁻¹] of equation A1.
    models : sequence of str
        Density models, each once.
    ice, mean : float
        Densities ρ_ice and ρ_mean [kg m⁻³].

    Returns
    -------
    ndarray, shape (models · n, ...)
        Rates of mass [kg m⁻² yr⁻¹] in the order of :func:`member_names`; NaN where an input is.

    Raises
    ------
    DensityError
        A field that a model needs is missing.
    """
    _check(len(elevation_rates), models)
    both = None if surface_elevation_rate is None else surface_mass_rate
    _require(models, {"fast_or_lowering": density, "surface_processes": both})
    members = []
    for model in models:
        if model == "ice":
            members.append(ice * elevation_rates)
        elif model == "mean":
            members.append(mean * elevation_rates)
        elif model == "fast_or_lowering" and density is not None:
            members.append(density * elevation_rates)
        elif surface_elevation_rate is not None and surface_mass_rate is not None:
            members.append(ice * (elevation_rates - surface_elevation_rate) + surface_mass_rate)
    return np.concatenate(members)


def member_names(
    heights: int, models: Sequence[str] = DENSITY_MODELS
) -> tuple[tuple[int, str], ...]:
    """Return of which rate and which model each row of :func:`mixing_matrix` is.

    Examples
    --------
    >>> member_names(2, ["ice", "mean"])
    ((0, 'ice'), (1, 'ice'), (0, 'mean'), (1, 'mean'))
    """
    _check(heights, models)
    return tuple((i, model) for model in models for i in range(heights))


def mixing_matrix(
    heights: int,
    models: Sequence[str] = DENSITY_MODELS,
    *,
    ice: float = ICE_DENSITY,
    mean: float = MEAN_DENSITY,
) -> FLOAT:
    """Return how the members mix the basis fields.

    Parameters
    ----------
    heights : int
        Number of elevation rates n.
    models : sequence of str
        Density models, each once.
    ice, mean : float
        Densities ρ_ice and ρ_mean [kg m⁻³].

    Returns
    -------
    ndarray, shape (models · n, fields)
        Row ``model · n + i`` makes the member of rate i, see :func:`member_names`; columns as
        :func:`field_names`.

    Raises
    ------
    DensityError
        No rates, no models, or an unknown or repeated one.

    Examples
    --------
    >>> mixing_matrix(28).shape
    (112, 57)
    """
    names = field_names(heights, models)
    column = {name: i for i, name in enumerate(names)}
    members = member_names(heights, models)
    mixing = np.zeros((len(members), len(names)))
    of_height = {"ice": ice, "mean": mean, "surface_processes": ice}
    for row, (i, model) in zip(mixing, members, strict=True):
        if model == "fast_or_lowering":
            row[column[f"rho_h:{i}"]] = 1.0
        else:
            row[column[f"h:{i}"]] = of_height[model]
        if model == "surface_processes":
            row[column["constant"]] = 1.0
    return mixing


def _check(heights: int, models: Sequence[str]) -> None:
    unknown = [model for model in models if model not in DENSITY_MODELS]
    if heights < 1 or not models or unknown or len(set(models)) < len(models):
        msg = (
            f"found {heights} rates and models {list(models)}; expected one rate at least and "
            f"each model once, of {', '.join(DENSITY_MODELS)}"
        )
        raise DensityError(msg)


def _require(models: Sequence[str], fields: dict[str, FLOAT | None]) -> None:
    for model, found in fields.items():
        if model in models and found is None:
            kept = ", ".join(name for name in models if name != model)
            msg = (
                f"the density model {model!r} needs {NEEDED[model]}, which is missing; name the "
                f"input in the run file, or leave the model out: altimetry.density.models [{kept}]"
            )
            raise DensityError(msg)


def _require_shape(what: str, found: FLOAT | None, allowed: tuple[tuple[int, ...], ...]) -> None:
    if found is not None and found.shape not in allowed:
        expected = " or ".join(str(shape) for shape in allowed)
        msg = f"{what} has shape {found.shape}; expected {expected}: bring it to the rates' grid"
        raise DensityError(msg)
