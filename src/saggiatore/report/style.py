"""The look of the page: light, printable, one column on a phone. Fonts are those of the reader's system."""

STYLE = """
:root { --ink: #1d2530; --soft: #5a6675; --line: #d9dee5; --accent: #0b5394; --ground: #ffffff; --pale: #f5f7fa; }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 64rem; color: var(--ink); background: var(--ground);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p, li { max-width: 46rem; }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
.soft, figcaption, .time { color: var(--soft); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0 0; padding: 0; list-style: none; }
code, pre, kbd { font-family: ui-monospace, "Liberation Mono", Menlo, Consolas, monospace; font-size: .875em; }
code { overflow-wrap: anywhere; }
pre { padding: .75rem 1rem; background: var(--pale); border: 1px solid var(--line); border-radius: 4px;
  overflow-x: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0; font-size: .9375rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .5rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.narrow { width: auto; min-width: min(100%, 24rem); }
.narrow th { padding-right: 2.5rem; }
.names code, .names .when { overflow-wrap: normal; white-space: nowrap; }
.formula { margin: 1rem 0; padding: 1.25rem 1rem; background: var(--pale); border: 1px solid var(--line);
  border-radius: 4px; overflow-x: auto; }
math { font-size: 1.35rem; }
figure { margin: 2rem 0; break-inside: avoid; }
figure img { display: block; width: auto; max-width: min(100%, 46rem); height: auto; max-height: 34rem; }
figcaption { max-width: 46rem; font-size: .9375rem; margin-top: .5rem; }
.bar { position: relative; min-width: 9rem; height: 1.1rem; background: var(--pale); }
.bar span { position: absolute; top: 0; bottom: 0; }
.bar .value { left: 0; background: var(--accent); opacity: .75; }
.bar .error { top: 35%; bottom: 35%; min-width: 2px; transform: translateX(-1px); background: var(--ink); }
.bar .zero { left: 50%; width: 1px; background: var(--soft); }
td.bars { width: 55%; }
.structures td.bars, .limits td.bars { width: 22%; }
.structures .above td { border: 0; padding: .9rem 0 0; }
.structures math { font-size: 1rem; width: max-content; }
svg rect { fill: var(--accent); stroke: var(--accent); }
svg .ground { fill: var(--ground); }
svg text { font: 12px system-ui, "Liberation Sans", sans-serif; fill: var(--ink); }
svg .time { font-size: 11px; fill: var(--soft); }
svg .edge { fill: none; stroke: #8a97a6; stroke-width: 1; }
.graph svg { display: block; max-width: 100%; height: auto; }
details { margin: .75rem 0; }
summary { cursor: pointer; color: var(--accent); }
@media (max-width: 40rem) {
  body { padding: 1rem .875rem 3rem; }
  h1 { font-size: 1.4rem; }
  math { font-size: 1.1rem; }
  td.bars { width: 40%; }
  .bar { min-width: 5rem; }
  .graph svg { max-width: none; }
  .stack tr:has(th[scope=col]) { display: none; }
  .stack caption, .stack tbody, .stack tr, .stack th { display: block; }
  .stack tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .stack th, .stack td { border: 0; padding: 0; white-space: normal; }
  .stack td { display: inline; }
  .stack td:last-child { display: block; }
  .stack td.bars { display: block; width: auto; margin: .25rem 0; }
  .names td.long { min-width: 14rem; }
}
@media print {
  @page { margin: 18mm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .skip { display: none; }
  .scroll { overflow: visible; }
  .graph svg { max-width: 100%; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { color: var(--soft); list-style: none; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
  * { print-color-adjust: exact; }
}
"""
