"""Estimates of one quantity by several methods: how far apart, combined, and moved by what."""
