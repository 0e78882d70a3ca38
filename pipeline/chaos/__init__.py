"""Faults put into a real run, and how long it takes until each is noticed and survived."""
