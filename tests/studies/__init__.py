"""Experiments of many seeds that take minutes to hours; ``docs`` quote what they print."""
