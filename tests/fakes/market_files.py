"""Small market data files as vendors lay them out, written by the tests that read them."""

import gzip
import zipfile
from pathlib import Path

from mmats.ports.data_format import ImportedTable, ImportOptions

BTC = ImportOptions("BTCUSDT.BINANCE")
EUR = ImportOptions("EURUSD.OANDA", zone="NY+7")

KLINES = (
    "1698796800000,100.00,101.50,99.90,101.00,2.50000,1698796859999,250.0,9,1.0,100.0,0",
    "1698796860000,101.00,101.20,100.80,100.90,0.00100,1698796919999,0.1,1,0.0,0.0,0",
    "1698796920000,100.90,100.90,100.10,100.25,1.00000,1698796979999,100.0,3,0.5,50.0,0",
)
MT5_HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
MT5_ROWS = (
    "2023.11.07 13:57:00,1.06715,1.06728,1.06712,1.06727,47,47",
    "2023.11.07 13:58:00,1.06728,1.06738,1.06727,1.06737,51,51",
)


def write_lines(path: Path, *lines: str) -> Path:
    """Write text lines; a name ending in .gz or .zip is compressed."""
    text = ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{path.stem}.csv", text)
    else:
        path.write_bytes(text)
    return path


def values(table: ImportedTable, name: str) -> list[int]:
    """One column as a list of integers."""
    return [int(value) for value in table.columns[name]]
