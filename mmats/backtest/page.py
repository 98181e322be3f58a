"""Style and script of the report's web page: no file, font or address beside the page itself."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""Content security policy: the browser refuses whatever would leave the page."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #1d2733; --muted: #66717f; --grid: #e0e4e9;
  --up: #12805c; --down: #b8432f; --down-soft: rgba(184, 67, 47, 0.16);
  --up-tint: 18, 128, 92; --down-tint: 184, 67, 47;
  --warn: #8a5a00; --warn-soft: #fff5dc;
  --series-1: #2563a8; --series-2: #c2711a; --series-3: #6d54a8; --series-4: #12805c;
  --series-5: #b04a86; --series-6: #4f7f93; --series-7: #8a7a1d; --series-8: #5b6470;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161b; --card: #1a2027; --ink: #dde3ea; --muted: #939eab; --grid: #2c353f;
    --up: #4cc29a; --down: #ef8570; --down-soft: rgba(239, 133, 112, 0.18);
    --up-tint: 76, 194, 154; --down-tint: 239, 133, 112;
    --warn: #f0c674; --warn-soft: #2c2718;
    --series-1: #6aa9ea; --series-2: #eba35a; --series-3: #ab95e6; --series-4: #4cc29a;
    --series-5: #e08abb; --series-6: #8fbccf; --series-7: #cdbd5c; --series-8: #a3adb8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1240px; margin: 0 auto; padding: 28px 20px 48px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; }
h1 { font-size: 22px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 15px; margin: 0 0 10px; }
h3 { font-size: 13px; margin: 14px 0 6px; color: var(--muted); font-weight: 600; }
p { margin: 0 0 8px; }
.muted { color: var(--muted); }
.mode {
  background: var(--series-8); color: var(--card); border-radius: 4px; padding: 1px 8px;
  font-size: 12px; font-weight: 600; letter-spacing: 0.06em;
}
.made-up { background: var(--warn-soft); color: var(--warn); }
section, .tile {
  background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 16px 18px;
}
section { margin-top: 14px; overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-top: 16px; }
.tile .label { color: var(--muted); font-size: 12px; }
.tile .value { font-size: 20px; font-weight: 600; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.tile .more { color: var(--muted); font-size: 12px; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 0 14px; }
.three { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr));
  gap: 8px 32px; }
.note { border-left: 4px solid var(--series-1); }
.warning { border-left: 4px solid var(--warn); background: var(--warn-soft); }
.error { border-left: 4px solid var(--down); }
ul { margin: 0; padding-left: 18px; }
table + table, table + p { margin-top: 18px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px 4px 0; text-align: left; border-bottom: 1px solid var(--grid);
  white-space: nowrap; }
th { color: var(--muted); font-weight: 600; font-size: 12px; }
td:last-child, th:last-child { padding-right: 0; }
tr:last-child td { border-bottom: 0; }
.n { text-align: right; }
.wrap { white-space: normal; overflow-wrap: anywhere; }
.up { color: var(--up); }
.down { color: var(--down); }
.even { table-layout: fixed; }
.even th:first-child { width: 22%; }
.even td:first-child { overflow: hidden; text-overflow: ellipsis; }
.months { table-layout: fixed; }
.months td, .months th { text-align: center; padding: 5px 4px; }
pre { margin: 6px 0 0; padding: 10px; background: var(--page); border-radius: 6px;
  overflow-x: auto; font-size: 12px; }
summary { cursor: pointer; font-weight: 600; }
details[open] summary { margin-bottom: 10px; }
.chart { min-height: 120px; }
@media print { section { break-inside: avoid; } main { max-width: none; padding: 0; } }
"""

SCRIPT = """
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const named = (style, value) =>
    typeof value === "string" && value.startsWith("--")
      ? style.getPropertyValue(value).trim() : value;
  const colored = (style, node, key) => {
    if (Array.isArray(node)) return node.map((item) => colored(style, item, key));
    if (node !== null && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, colored(style, v, k)]));
    }
    return key && key.endsWith("color") ? named(style, node) : node;
  };
  const draw = (id) => {
    const style = getComputedStyle(document.documentElement);
    const figure = colored(style, figures[id], "");
    const config = { displaylogo: false, responsive: true,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
    Plotly.react(document.getElementById(id), figure.data, figure.layout, config);
  };
  const visible = (id) => document.getElementById(id).offsetParent !== null;
  const drawAll = () => Object.keys(figures).filter(visible).forEach(draw);
  document.querySelectorAll("details").forEach((box) => box.addEventListener("toggle", drawAll));
  scheme.addEventListener("change", drawAll);
  drawAll();
})();
"""
