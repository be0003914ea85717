"""What sets one shelf apart from another: its fractures, calvings, ponds, ice and rock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CrevasseField:
    """Many crevasses of one origin.

    Attributes
    ----------
    name : str
        What a glaciologist calls it.
    across, half_width : float
        Where along the grounding line its ice began: middle a and half width [m].
    birth, life : float
        Age of the ice when it cracks, and how long cracks stay open [yr].
    strike : float
        Direction of a new crack, from the across-flow direction anticlockwise [degrees].
    length, spacing : float
        Of new cracks: longest, and between neighbours [m].
    width, opening : float
        Of new cracks, and what they gain [m, m yr⁻¹].
    depth : float
        As low sun sees it: to the snow bridge or the rubble inside [m].
    density : float
        Part of the places for a crack that have one, in the middle of the field in 2000 [1].
    trend : float
        Change of the density [yr⁻¹].
    patch : float
        Size of the patches that are cracked; 0: everywhere [m].
    """

    name: str
    across: float
    half_width: float
    birth: float
    life: float
    strike: float
    length: float
    spacing: float
    width: float
    opening: float
    depth: float
    density: float
    trend: float = 0.0
    patch: float = 0.0


@dataclass(frozen=True)
class Rift:
    """One crack through the shelf that grows along and across.

    Attributes
    ----------
    year : float
        When it opened [yr].
    part : float
        How far down its flow line it did: 0 the grounding line, 1 the world's front [1].
    across : float
        Flow line on which it did, a [m].
    reach : float
        Half of its length in the end, along a [m].
    tilt : float
        Metres downstream for a metre across [1].
    opening : float
        Widening [m yr⁻¹].
    widest : float
        [m].
    pace : float
        Speed of its tips [m yr⁻¹].
    """

    year: float
    part: float
    across: float
    reach: float
    tilt: float
    opening: float
    widest: float
    pace: float


@dataclass(frozen=True)
class Calving:
    """A day on which the front jumps back along a rift.

    Attributes
    ----------
    year : float
        When [yr].
    part : float
        Where the new front is on that day, as :attr:`Rift.part` [1].
    lead : float
        For how long the rift was open before; 0: no rift [yr].
    rough : float
        Height of the bends of the new front [m].
    """

    year: float
    part: float
    lead: float = 0.0
    rough: float = 350.0


@dataclass(frozen=True)
class Nature:
    """Everything that makes a shelf look as it does.

    Attributes
    ----------
    name : str
        Of the shelf.
    bearing : float
        ν of its middle flow line [rad].
    middle : float
        Where on it the window is centred, as :attr:`Rift.part` [1].
    fields : tuple of CrevasseField
        Its crevasses.
    rifts : tuple of Rift
        Its rifts.
    calvings : tuple of Calving
        Its calvings in order of time.
    ponds, blue_ice, rock, stripes, relief, pack : float
        How much melt water, bare ice, rock, flow stripes, undulation of the snow and sea ice it has
        [0 to 1].
    """

    name: str
    bearing: float
    middle: float
    fields: tuple[CrevasseField, ...]
    rifts: tuple[Rift, ...]
    calvings: tuple[Calving, ...]
    ponds: float = 0.0
    blue_ice: float = 0.0
    rock: float = 0.0
    stripes: float = 0.5
    relief: float = 0.6
    pack: float = 0.5
