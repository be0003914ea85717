"""From a run file and its resolved inputs to a plan: what is the same for every product."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines import settings
from pipelines.flows import catalogue_inputs
from pipelines.lifecycle import Finished, InputItem, Plan, Stage

if TYPE_CHECKING:
    import zarr

    from pipelines.settings import Run


def planned(
    run: Run,
    items: tuple[InputItem, ...],
    *,
    stages: tuple[Stage, ...],
    template: Callable[[zarr.Group], None],
    tell: Callable[[Finished], None],
    bytes_to_write: int,
    notes: tuple[str, ...],
    **more: Any,
) -> Plan:
    """Return the plan of a run; its identity is the run file and the checksums of its inputs.

    Parameters
    ----------
    run : Run
        The run.
    items : tuple of InputItem
        What is read.
    stages, template, tell, bytes_to_write, notes, more
        See :class:`pipelines.lifecycle.Plan`.

    Returns
    -------
    Plan
    """
    identity = catalogue_inputs.identity(items)
    return Plan(
        product=run.product,
        output=run.output,
        run_id=settings.run_id(run, identity),
        run_text=settings.resolved(run),
        description={**settings.describe(run), **identity},
        inputs=items,
        stages=stages,
        batch=run.choices.batch,
        template=template,
        tell=tell,
        bytes_to_write=bytes_to_write,
        notes=notes,
        **more,
    )
