"""Reports of what became of something that was read: groups of facts, as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def report_lines(report: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The report as lines of at most 80 columns."""
    lines = []
    for group_name, facts in report.items():
        lines.append(group_name)
        for name, value in facts.items() or [("nothing", "")]:
            shown = f"{value:,}" if isinstance(value, int | float) else str(value)
            lines.append(f"  {name:<48} {shown}")
    return lines
