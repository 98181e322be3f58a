"""Venues: the rehearsal venue with its faults, and the access that works without the engine."""
