"""Settings from flags, presets and JSON."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from meze.agents.schedules import Schedule
from meze.runners.setup.settings import (
    as_words,
    differences,
    flags,
    from_plain,
    group,
    override,
    parse,
    to_plain,
)


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    count: int = 3


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    mode: Literal["x", "y"] = "x"
    limit: int | None = None
    sizes: tuple[int, ...] = (1, 2)
    out: Path = Path("runs")
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("name must be good")


def read(args, default=None):
    return parse(default or Outer(), args, prog="x", description="")


def test_what_a_file_leaves_out_is_named() -> None:
    assert from_plain(Outer, {"name": "b"}, "it") == Outer("b")
    with pytest.raises(ValueError, match=r"^it lacks the setting 'end'$"):
        from_plain(Schedule, {"start": 1}, "it")


def test_flags_are_read_over_the_defaults() -> None:
    given = read(["--inner.count", "1_000", "--limit", "5", "--mode", "y"], Outer(name="b"))
    assert given == Outer("b", "y", 5, inner=Inner(0.5, 1000))


def test_a_groups_run_has_no_prefix() -> None:
    together = group("Both", run=Inner(), agent=Outer())
    assert {"--rate", "--agent.inner.rate"} <= set(flags(together))
    given = parse(together, ["--count", "7", "--agent.inner.count", "8"], prog="x", description="")
    assert (given.run.count, given.agent.inner.count) == (7, 8)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # which tyro draws its frames for
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--inner.cuont", "3"], "unknown flag --inner.cuont; did you mean --inner.count?"),
        (["--inner.count", "few"], "--inner.count must be an integer; got 'few'"),
        (["--inner.rate", "high"], "--inner.rate must be a number; got 'high'"),
        (["--limit", "many"], "--limit takes INT; got 'many'"),
        (["--mode", "z"], "invalid choice 'z' for argument '--mode'. Expected one of ('x', 'y')."),
        (["--limit"], "--limit needs a value"),
        (["stray"], "unexpected 'stray'; see x --help"),
        (["--name", "bad"], "name must be good"),
    ],
)
def test_errors_are_one_line(args, words, encoding, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(ValueError) as caught:
        read(args)
    message = str(caught.value)
    assert words in message and not any(part in message for part in ("\n", "│", "---", "helptext"))


def test_overriding_reaches_into_nested_settings() -> None:
    assert override(Outer(), {"inner.rate": 0.1, "name": "c"}) == Outer("c", inner=Inner(0.1, 3))
    assert override(Outer(), {"inner.rate": 1, "inner.count": 2}) == Outer(inner=Inner(1.0, 2))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inner.rte": 1}, "there is no setting its.inner.rte"),
        ({"name.first": 1}, "there is no setting its.name.first"),
        ({"inner.count": 1.5}, "its.inner.count is 1.5, which does not fit"),
        ({"inner": 3}, "its.inner is 3, which does not fit"),
        ({"mode": "z"}, "its.mode takes x, y; got 'z'"),
        ({"name": "bad"}, "name must be good"),
    ],
)
def test_overriding_checks_what_it_is_given(changes, words) -> None:
    with pytest.raises(ValueError) as caught:
        override(Outer(), changes, "its.")
    assert str(caught.value) == words


@dataclass(frozen=True)
class Switched:
    on: bool = True
    off: bool = False
    low: float = 0.0
    sizes: tuple[int, ...] | None = (1,)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Outer(), []),
        (
            Outer("-b", "y", 5, (4, 5), inner=Inner(0.25)),
            ["--name=-b", "--mode", "y", "--limit", "5", "--sizes", "4", "5", "--inner.rate", "0.25"],
        ),
        (Outer(sizes=()), ["--sizes"]),
        (Switched(False, True, -1e-9, None), ["--no-on", "--off", "--low=-1e-09", "--sizes", "None"]),
    ],
)
def test_flags_say_again_what_was_read(settings, words) -> None:
    default = type(settings)()
    assert as_words(differences(settings, default)) == words and read(words, default) == settings
    both = [group("Both", run=Inner(count=n), agent=each) for n, each in ((3, default), (4, settings))]
    again = read(as_words(differences(both[1], both[0])), both[0])
    assert (again.run, again.agent) == (Inner(count=4), settings)


def test_json_round_trip() -> None:
    settings = Outer("b", "y", 5, (4,), Path("elsewhere"), Inner(0.25, 9))
    assert from_plain(Outer, to_plain(settings), "file") == settings


@pytest.mark.parametrize(
    "plain",
    [
        [],
        {"nme": "a"},
        {"name": 3},
        {"mode": "z"},
        {"limit": "5"},
        {"limit": True},
        {"sizes": [1, "2"]},
        {"inner": {"rate": "fast"}},
        {"inner": 3},
        {"name": "bad"},
    ],
)
def test_altered_json_is_refused(plain) -> None:
    with pytest.raises(ValueError) as caught:
        from_plain(Outer, plain, "file")
    assert "\n" not in str(caught.value)
