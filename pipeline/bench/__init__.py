"""Benchmarks of parts, each beside its bound."""
