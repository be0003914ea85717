"""Synthetic Antarctica with known truth: the demo runs on it, tests too."""
