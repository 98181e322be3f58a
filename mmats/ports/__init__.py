"""Protocols, one file each: what the engine needs from the world outside it."""
