"""Standard streams that never end the work: their reader may go away, or know fewer letters."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Patient(io.FileIO):
    """A stream that is written to nowhere once nobody reads it any more."""

    def write(self, data: Any, /) -> int:
        """Writes what it can."""
        try:
            return super().write(data) or 0
        except BrokenPipeError:  # the reader, `head` for one, has seen enough
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def make_patient() -> None:
    """Has the standard streams of this process, if they are its own, take whatever is written to them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            stream.flush()
            raw = io.BufferedWriter(_Patient(stream.fileno(), "w", closefd=False))
            live = stream.line_buffering or stream.write_through or stream.isatty()
            found = io.TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=live)
            setattr(sys, name, found)
