"""Tables in the terminal: names stay whole, and columns for which there is no room are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..setup.text import printable

LONGEST = 4000
"""Letters of a note that are shown, at most."""
UNBOUNDED = 100_000
"""Columns of a terminal on which a table is as wide as it likes."""


def print_rows(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    explained: Mapping[str, str] | None = None,
) -> None:
    """Prints a title, a table and notes below it, no wider than the terminal.

    Columns on the right are left out until the rest fits, and named below. The first one, of names, is folded
    only where there is no room for a name and one number.

    Args:
        title: what the table tells.
        columns: their names, the most important first.
        rows: cells of each row; a line break in a cell is kept, all else that is not printable is escaped.
        notes: what is told below the table, line by line; empty ones are left out.
        explained: column to what is told of it below the table, if it is there.
    """
    from rich.console import Console

    console = Console()
    unbounded = console.options.update(max_width=UNBOUNDED)
    kept = len(columns)
    table = _table(columns, rows)
    while kept > 2 and console.measure(table, options=unbounded).maximum > console.width:
        kept -= 1
        table = _table(columns[:kept], rows)
    console.print(f"\n{printable(title)}", highlight=False, markup=False)
    console.print(table)
    missing = f"No room for: {', '.join(columns[kept:])}." if kept < len(columns) else ""
    there = [note for name, note in (explained or {}).items() if name in columns[:kept]]
    for note in filter(None, (missing, *notes, *there)):
        console.print(printable(note, LONGEST), highlight=False, markup=False)
    console.print()


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """The first columns of each row: names to the left, numbers to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        justify = "right" if number else "left"
        folds = not number and len(columns) <= 2
        table.add_column(name, justify=justify, no_wrap=not folds, overflow="fold")
    for row in rows:
        cells = row[: len(columns)]
        table.add_row(*(Text("\n".join(map(printable, cell.split("\n")))) for cell in cells))  # no markup
    return table
