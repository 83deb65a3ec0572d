"""What every test shares: no window is ever opened, and the checkout is never imported under its own name."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["SDL_VIDEODRIVER"] = "dummy"
os.environ["SDL_AUDIODRIVER"] = "dummy"
os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["OMP_NUM_THREADS"] = "1"  # small networks gain nothing from more, and tests run side by side

# Kernels compile on their first call, which no deadline should count.
settings.register_profile("meze", deadline=None)
settings.load_profile("meze")

CHECKOUT = Path(__file__).parents[1]
LONG = 15
"""Seconds after which a test is one for `@pytest.mark.slow`."""


class PlainCheckout:
    """Keeps pytest from importing the checkout, the package `meze`, again under its folder's name."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collects the checkout as a plain folder."""
        return pytest.Dir.from_parent(parent, path=path) if path == CHECKOUT else None


def pytest_configure(config: pytest.Config) -> None:
    # Registered by hand because a conftest's own hooks are not asked about the folders above it.
    config.pluginmanager.register(PlainCheckout())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names what took long and isn't marked slow, set-up included; clocks differ, so nothing fails for it."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and "slow" not in report.keywords:
                seconds[report.nodeid] += report.duration
    if long := [(name, taken) for name, taken in seconds.most_common() if taken > LONG]:
        terminalreporter.section(f"not marked slow, and longer than {LONG} s")
        for name, taken in long:
            terminalreporter.line(f"{taken:.0f} s  {name}")
