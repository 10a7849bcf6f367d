"""How the report looks: calm, and in the dark where the reader's machine is."""

from typing import Final

STYLE: Final = """
:root{--page:#fbfbf9;--card:#fff;--ink:#22262b;--soft:#5d666f;--line:#e2e3df;--before:#a9b4c0;--after:#2f6db3;
--acts:#2f6db3;--suppressed:#c2a35a;--nothing:#c5cbd1;--open:#8d6fb0;--inside:#1c2126}
@media (prefers-color-scheme:dark){:root{--page:#15181c;--card:#1d2126;--ink:#e4e7ea;--soft:#98a2ac;--line:#30363d;
--before:#5c6873;--after:#6ba4e4;--acts:#6ba4e4;--suppressed:#b3954f;--nothing:#4a535c;--open:#a98bcb;--inside:#f4f6f8}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:860px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:26px;font-weight:600;margin:0 0 8px}
h2{font-size:17px;font-weight:600;margin:0 0 12px}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:20px 24px;margin:16px 0}
.lead{font-size:19px;margin:0 0 4px}
.about,.how,.was,.name,.when,.values,.legend{color:var(--soft)}
.about{margin:0 0 20px;overflow-wrap:anywhere}
.how,.when,.values,.legend,.was,.name{font-size:13px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;background:none;border:0;padding:0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px}
.now{font-size:26px;font-weight:600;font-variant-numeric:tabular-nums}
.legend{margin:0 0 10px}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 4px 0 0}
.legend i+i,.legend i.after{margin-left:14px}
i.before{background:var(--before)}i.after{background:var(--after)}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--ink);font-size:13px}
svg text.small{fill:var(--soft);font-size:12px}
svg text.inside{fill:var(--inside);font-size:12px}
.before{fill:var(--before)}.after{fill:var(--after)}
.kind-acts{fill:var(--acts)}.kind-suppressed{fill:var(--suppressed)}
.kind-nothing_due{fill:var(--nothing)}.kind-left_open{fill:var(--open)}
.axis{stroke:var(--soft);stroke-width:1}.grid{stroke:var(--line);stroke-width:1}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;font-weight:600;color:var(--soft);font-size:13px;border-bottom:1px solid var(--line);
padding:6px 10px 6px 0}
td{vertical-align:top;border-bottom:1px solid var(--line);padding:8px 10px 8px 0}
tbody tr:last-child td{border-bottom:0}
.numbers td+td,.numbers th+th{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.signals td:first-child code{font-size:11px}
.signals td:last-child p{margin:0 0 6px;overflow-wrap:anywhere}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px}
em{font-style:normal;color:var(--soft)}
@media print{body{background:#fff}section,.tile{break-inside:avoid}}
"""
