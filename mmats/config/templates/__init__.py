"""Texts that `mmats strategy new` writes."""
