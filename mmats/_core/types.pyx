# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Enumerations that Python sees; the records themselves live in ``types.pxd``."""
