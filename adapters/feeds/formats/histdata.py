"""1-minute bars of HistData.com: `YYYYMMDD HHMMSS;open;high;low;close;0`, bid prices."""

from collections.abc import Sequence
from pathlib import Path

from adapters.feeds.checks import parse_times
from adapters.feeds.formats.bars import BarLayout, bar_table, layout_with
from adapters.feeds.sources import open_sources, read_csv
from mmats.ports.data_format import ImportedTable, ImportOptions, VolumeUnit

_NAMES = ("time", "open", "high", "low", "close", "volume")


class HistData:
    """The vendor declares EST without daylight saving, i.e. UTC-5.

    Its files of 2018 contradict that: every week ends at 16:59 and starts at 17:00 all year,
    which is New York time with daylight saving. The declared zone stays the default, the
    session check warns, and `--zone America/New_York` imports such files correctly.
    """

    name = "histdata"
    description = "HistData.com M1 zips, declared UTC-5 (check the warning), stamped at open"

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return one table of bid bars without volume."""
        layout = BarLayout(self.name, "UTC-5", "open", "bid", VolumeUnit.COUNT)
        layout = layout_with(layout, options)
        raw = read_csv(list(open_sources(paths, (".zip", ".csv", ".csv.gz"))), _NAMES, ";")
        local_ns = parse_times(raw.columns["time"], "%Y%m%d %H%M%S", raw.where)
        return (bar_table(raw, local_ns, layout, options),)
