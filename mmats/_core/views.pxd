# cython: language_level=3
"""Copies of the order manager's state for those outside, and what a restart does with it."""
