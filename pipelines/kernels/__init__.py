"""Pure array mathematics: NumPy, SciPy and pyshtools."""
