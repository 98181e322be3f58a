"""Strict TOML configuration: tables, units, the built-in instruments and costs."""

from mmats.config.load import load_config
from mmats.config.schema import Config
from mmats.config.table import builtin_instruments

__all__ = ["Config", "builtin_instruments", "load_config"]
