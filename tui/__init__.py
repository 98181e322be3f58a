"""The terminal user interface; it will know `mmats.model`, `mmats.ports` and the client only.

Empty until there is an engine process to look at; a backtest has a report instead.
"""
