"""OpenVINO without its telemetry.

`openvino` brings `openvino-telemetry` along, and its mere import writes an identifier to
``~/intel`` and sends an event to a public address unless the user has opted out. It also has a
way to go without: where the package cannot be imported, a stub that does nothing takes its place.
"""

import importlib
import importlib.util
import sys
from typing import Any, cast

TELEMETRY = "openvino_telemetry"


def is_installed() -> bool:
    """Whether OpenVINO can be imported, found out without importing it."""
    return importlib.util.find_spec("openvino") is not None


def openvino() -> Any:
    """Import OpenVINO such that nothing is sent or written, now or later in this process."""
    loaded = sys.modules.get(TELEMETRY)
    if loaded is None:
        # What is None here cannot be imported; OpenVINO then takes its own stub.
        cast("dict[str, Any]", sys.modules)[TELEMETRY] = None
    else:
        _decline()
    return importlib.import_module("openvino")


def _decline() -> None:
    """Answer no wherever telemetry that is loaded already asks for consent."""
    main = importlib.import_module(f"{TELEMETRY}.main")
    checker = importlib.import_module(f"{TELEMETRY}.utils.opt_in_checker")
    checker.OptInChecker.check = lambda *_, **__: checker.ConsentCheckResult.DECLINED
    main.Telemetry.send_event = main.Telemetry.start_session = lambda *_, **__: None
    main.Telemetry.end_session = main.Telemetry.send_error = lambda *_, **__: None
    main.Telemetry.send_stack_trace = lambda *_, **__: None
