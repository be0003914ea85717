"""The command ``nunatak``. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import click

from pipelines.commands.answers import Commands
from pipelines.commands.audit import audit_command
from pipelines.commands.certificates import certificates_command
from pipelines.commands.demo import demo_command
from pipelines.commands.demo_tiles import demo_tiles_command
from pipelines.commands.ingest import ingest_command
from pipelines.commands.plan import plan_command
from pipelines.commands.report import report_command
from pipelines.commands.run import run_command
from pipelines.commands.search import search_command
from pipelines.commands.serve import serve_command
from pipelines.commands.serve_model import serve_model_command
from pipelines.commands.share import share_command
from pipelines.commands.simulate import simulate_command
from pipelines.commands.status import status_command

EPILOG = (
    "Exit status: 0 all done; 2 the request or an input is wrong; 3 some keys failed, the results "
    "of the others are published; 130 interrupted, the same command resumes; 1 a defect of ours."
)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nunatak")
def main() -> None:
    """Mass balance of the Antarctic ice sheet, from a laptop to a cluster."""
    from cluster.telemetry import configure_logging

    configure_logging()


for command in (
    demo_command,
    demo_tiles_command,
    ingest_command,
    search_command,
    plan_command,
    run_command,
    status_command,
    report_command,
    audit_command,
    simulate_command,
    serve_command,
    serve_model_command,
    certificates_command,
    share_command,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
