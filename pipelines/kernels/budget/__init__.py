"""From velocity, thickness and snowfall to discharge and mass balance, with their errors."""
