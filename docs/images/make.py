"""Draws the pictures of the README from a real backtest demo: `python docs/images/make.py`.

Writes `report.svg` (what the terminal shows) and, where chromium is installed, `page.png` (the top
of the HTML report) beside this file.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from rich.console import Console

from mmats.backtest import Report, run

HERE = Path(__file__).parent
COLUMNS = 100
PAGE_SIZE = "1200,1250"  # pixels
FONT_FACES = re.compile(r"@font-face\s*{.*?}\s*", re.DOTALL)


def demo_report() -> Report:
    """Run what `mmats demo --backtest` runs."""
    with resources.as_file(resources.files("mmats.config").joinpath("demo.toml")) as path:
        return run(path)


def draw_terminal(report: Report) -> None:
    """Write the terminal report as an SVG that loads nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(report.render())
    svg = console.export_svg(title="mmats demo --backtest")
    (HERE / "report.svg").write_text(FONT_FACES.sub("", svg), encoding="utf-8")


def draw_page(report: Report, browser: str) -> None:
    """Write the top of the HTML report as a PNG."""
    with tempfile.TemporaryDirectory() as folder:
        page = report.to_html(Path(folder, "demo.html"))
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--hide-scrollbars", f"--user-data-dir={folder}",
            f"--window-size={PAGE_SIZE}", "--virtual-time-budget=10000",
            f"--screenshot={HERE / 'page.png'}", page.as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603


def main() -> None:
    """Draw both pictures."""
    report = demo_report()
    draw_terminal(report)
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("report.svg is drawn; page.png needs chromium")
    draw_page(report, browser)


if __name__ == "__main__":
    main()
