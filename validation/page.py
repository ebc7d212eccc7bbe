"""What was validated as one page: every number beside ours, its source, and the cause where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

PAGE = "validation.html"
STYLE = """
body { font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; margin: 24px auto; max-width: 1180px; color: #222; }
h1 { font-size: 22px; } h2 { font-size: 16px; margin: 26px 0 4px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; color: #777; font-weight: 500; }
td, th { padding: 3px 10px 3px 0; border-bottom: 1px solid #e4e4e4; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; }
.said { color: #777; font-size: 12px; }
.pass { color: #2d7a36; } .miss { color: #b3202a; font-weight: 600; }
.explained { color: #b06a10; } .shown { color: #777; }
"""
HEADINGS = (
    "number",
    "published",
    "ours",
    "unit",
    "error",
    "tolerance",
    "verdict",
    "grade",
    "source, and cause of a difference",
)


def write_page(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write comparisons, as ``sextant validate --json`` has them, as a page."""
    counts = Counter(str(row["verdict"]) for row in rows)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("pass", "miss", "explained", "shown only"))
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Validation</title><style>{STYLE}</style>',
        f"<h1>Published numbers and ours</h1><p>{len(rows)} numbers: {summary}. A number that is only recalled is",
        "shown and never gates; an explained difference has its cause beside it.</p>",
    ]
    for name in dict.fromkeys(str(row["name"]) for row in rows):
        parts.append(f"<h2>{escape(name)}</h2><table><tr>{''.join(f'<th>{heading}</th>' for heading in HEADINGS)}</tr>")
        parts += [_row(row) for row in rows if row["name"] == name]
        parts.append("</table>")
    path.write_text("\n".join(parts) + "</html>\n", encoding="utf-8")


def _row(row: Mapping[str, object]) -> str:
    cause = f"<br>{escape(str(row['cause']))}" if row["cause"] else ""
    verdict = str(row["verdict"])
    cells = [
        f"<td>{escape(str(row['id']))}</td>",
        f'<td class="number">{row["published"]:.10g}</td>',
        f'<td class="number">{row["ours"]:.7g}</td>',
        f"<td>{escape(str(row['unit']))}</td>",
        f'<td class="number">{row["error"]:+.2%}</td>',
        f'<td class="number">{row["tolerance"]:.2%}</td>',
        f'<td class="{verdict.split()[0]}">{verdict}</td>',
        f"<td>{escape(str(row['grade']))}</td>",
        f'<td class="said">{escape(str(row["source"]))}{cause}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"
