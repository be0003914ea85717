"""Throughput and memory against named peers, one JSON line each."""
