"""An audit of published tables of a mass budget, from their numbers alone.

Does what a table prints follow from what else it prints, within rounding? Checks, for any tables
of regions with the basins of Zwally et al. (2012), their ice sheets, sectors and total:

- groups are sums of members; the total that of ice sheets (areas, discharge, SMB, balance);
- uncertainties of groups are quadratures, or linear sums; two groups carry each other's;
- uncertainties are one share of the value;
- a column "mean" is the weighted mean of epochs, with which weights;
- ``MB = SMB − D``, and ``σ_MB² = σ_D² + σ_SMB²``; regions that were taken from elsewhere;
- a quantity named by years is the mean of the epochs in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.kernels.budget import audit_groups, audit_means
from pipelines.kernels.budget.audit_findings import Finding
from pipelines.kernels.budget.audit_means import MEAN, Weights
from pipelines.kernels.budget.printed_numbers import Column, Interval, combined


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes
    ----------
    findings : tuple of Finding
        Every check.
    rules : tuple of str
        What the tables turned out to follow: weights of means, relative uncertainties, regions
        taken from elsewhere.
    """

    findings: tuple[Finding, ...]
    rules: tuple[str, ...]


def audit(columns: Sequence[Column]) -> Audit:
    """Check what columns of one or several tables say of each other.

    Parameters
    ----------
    columns : sequence of Column
        Columns of tables that describe one estimate.

    Returns
    -------
    Audit
        All findings in the order of the checks, and the rules that were found.
    """
    findings = [finding for column in columns for finding in audit_groups.sums(column)]
    findings += audit_groups.sigmas(columns)
    weights = _weights(columns)
    ratios = {_key(c): found for c in columns if (found := audit_means.relative_sigma(c))}
    for column in columns:
        if _key(column) in ratios:
            findings += audit_means.relative_sigmas(column, ratios[_key(column)][0])
        if _is_mean(column) and _family(column) in weights:
            epochs = audit_means.epochs_of(columns, column)
            findings += audit_means.means(epochs, column, weights[_family(column)])
    elsewhere = _elsewhere(columns)
    findings += _balances(columns, weights, elsewhere)
    snow = [found[0] for (_, quantity, _), found in ratios.items() if quantity == "SMB"]
    if snow:
        findings += _sigmas_of_balance(columns, snow[0], elsewhere)
    findings += audit_means.named_means(columns, weights)
    return Audit(tuple(findings), tuple(_rules(weights, ratios, elsewhere, findings)))


def _key(column: Column) -> tuple[str, str, str]:
    return column.table, column.quantity, column.period


def _family(column: Column) -> tuple[str, str]:
    return column.table, column.quantity


def _is_mean(column: Column) -> bool:
    return column.period.lower() == MEAN


def _weights(columns: Sequence[Column]) -> dict[tuple[str, str], Weights]:
    found = {}
    for column in filter(_is_mean, columns):
        weights = audit_means.find_weights(audit_means.epochs_of(columns, column), column)
        if weights:
            found[_family(column)] = weights
    return found


def _of(columns: Sequence[Column], quantity: str, *, mean: bool) -> list[Column]:
    return [each for each in columns if each.quantity == quantity and _is_mean(each) == mean]


def _elsewhere(columns: Sequence[Column]) -> list[str]:
    """Return regions whose balance never changes while their discharge does."""
    balance, discharge = (_of(columns, name, mean=False) for name in ("MB", "D"))
    return audit_means.constant_regions(balance, discharge)


def _balances(
    columns: Sequence[Column],
    weights: Mapping[tuple[str, str], Weights],
    elsewhere: Sequence[str],
) -> list[Finding]:
    """Check MB = SMB − D where all three are printed for a period, or D for epochs of a mean."""
    snow = {each.period.lower(): each for each in columns if each.quantity == "SMB"}
    out = {each.period.lower(): each for each in columns if each.quantity == "D"}
    found: list[Finding] = []
    for balance in (each for each in columns if each.quantity == "MB"):
        period = balance.period.lower()
        if period not in snow:
            continue
        discharge: Mapping[str, Interval] = {}
        if period in out:
            discharge = {r: combined([(1.0, v)]) for r, v in out[period].values.items()}
        elif (share := weights.get(_family(balance))) and out.keys() >= set(share.periods):
            epochs = [out[each] for each in share.periods]
            discharge = audit_means.mean_column(epochs, share.of(share.periods))
        found += audit_means.balances(balance, snow[period], discharge, elsewhere=elsewhere)
    return found


def _sigmas_of_balance(
    columns: Sequence[Column], ratio: float, elsewhere: Sequence[str]
) -> list[Finding]:
    """Check uncertainties of MB where most are those of independent SMB and D.

    Where they are not, the two share errors, such as the snowfall below a gate, and the table
    does not print what they share.
    """
    out = {each.period: each for each in columns if each.quantity == "D"}
    found = [
        finding
        for balance in columns
        if balance.quantity == "MB" and balance.period in out
        for finding in audit_means.sigmas_of_balance(
            balance, out[balance.period], ratio, elsewhere=elsewhere
        )
    ]
    return found if 2 * sum(each.state == "holds" for each in found) > len(found) else []


def _rules(
    weights: Mapping[tuple[str, str], Weights],
    ratios: Mapping[tuple[str, str, str], tuple[float, int, int]],
    elsewhere: Sequence[str],
    findings: Sequence[Finding],
) -> list[str]:
    """Tell what the tables follow, in words."""
    rules = [
        f"{table}: {quantity} mean is the mean of {', '.join(each.periods)} with weights "
        f"{' : '.join(map(str, each.weights))} (rms {each.rms:.2f}, {each.reproduced} of "
        f"{each.regions} rows within rounding)"
        for (table, quantity), each in weights.items()
    ]
    rules += [
        f"{table}: uncertainties of {quantity} {period} are {100.0 * ratio:.0f} % of the value "
        f"({count} of {size} regions)"
        for (table, quantity, period), (ratio, count, size) in ratios.items()
    ]
    if elsewhere:
        rules.append(
            f"MB of {', '.join(elsewhere)} is the same in every epoch while D is not: taken from "
            "another method" + _without(findings)
        )
    return rules


def _without(findings: Sequence[Finding]) -> str:
    """Say what the whole would be without regions from elsewhere."""
    for each in findings:
        if each.check == "balance" and each.region == "AIS":
            return f"; SMB − D of AIS is {each.expected:.1f}, printed {each.printed:g}"
    return ""
