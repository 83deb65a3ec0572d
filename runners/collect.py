"""`meze collect ENV`: data sets of what policies see and do, on which encoders and imitators are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from gymnasium.vector import AutoresetMode

from ..checking import at_least, within
from .run.encoding import PolicyMixtureSettings
from .run.progress import Waiting
from .run.recording import find_mixture, find_witness, play_mixture
from .setup.files import new_folder, write_json
from .setup.presets import default_env_config
from .setup.resolve import Vectorization, find_environment, make_vector
from .setup.seeds import EVALUATION_SEED, STREAMS
from .setup.settings import group, leading_names, parse, to_plain
from .study.rule_tables import show
from .study.rules import check_rules, rules_of

USAGE = "meze collect ENV [flags]"
DESCRIPTION = """Records what policies see, do and earn in ENV, as plain arrays (.npy) in a folder.

Arrays are (steps, environments, ...): obs, action, advice (what the teacher would have done; without one,
what was done), reward, cost, ended, terminated, and by its name each target and each event that the world
declares; `final` has a row for what was observed last in each episode. `meze export RECORDING --to minari`
shares them.
`meze.runners.run.recording.read_recorded` reads them again, tells episodes and targets, and keeps those for
tests apart.

With --rules it tells which of the world's events go together, and which follow which: rules that are found
on four of five episodes, and hold on the others (rules.json)."""

RULES = "rules.json"
MOST_STEPS = 10**12
"""Steps of a recording, at most: more than any disk has room for."""


@dataclass(frozen=True)
class CollectSettings(PolicyMixtureSettings):
    """How much is recorded, and where.

    Raises:
        ValueError: for a number below 1.
    """

    steps: int = 100_000
    """Steps of all environments together."""
    ask: bool = False
    """Ask the teacher at each step."""
    rules: bool = False
    """Tell rules of the world's events, too (extra `rules`)."""
    horizon: int = 5
    """Steps within which rules look for what follows."""
    num_envs: int = 256
    """Environments that run side by side."""
    num_threads: int = 1
    """Threads that step the environments (the project's own worlds only)."""
    vectorization: Vectorization = "sync"
    """Environments of others step one after another, or `async`: each in a process of its own."""
    seed: int = 0
    """Of the mixture, and of the environments, whose own seeds are drawn from it."""
    out: Path = Path("data")
    """Folder in which the recording gets its own: <out>/<env>-s<seed>."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "steps", "num_envs", "num_threads", "horizon")
        within(self, 1, MOST_STEPS, "steps")
        within(self, 0, EVALUATION_SEED - 1, "seed")


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    environment = find_environment(names[0])
    default = group("Collect", run=CollectSettings(), env=default_env_config(environment, encoded=True))
    given = parse(default, args[1:], prog=f"meze collect {names[0]}", description=DESCRIPTION)
    run, stem = given.run, f"{environment.name}-s{given.run.seed}"
    if run.rules:
        check_rules(environment, run.horizon, -(-run.steps // run.num_envs))
    env = make_vector(
        environment,
        given.env,
        run.num_envs,
        AutoresetMode.SAME_STEP,
        num_threads=run.num_threads,
        vectorization=run.vectorization,
    )
    with closing(env):
        mixture = find_mixture(env, environment, run, run.seed, asks=run.ask)
        folder = new_folder(run.out, stem)
        witness = find_witness(env)
        try:
            recorded = play_mixture(env, mixture, run.steps, run.seed, folder, witness)
        finally:
            with suppress(OSError):  # where there is no room, nothing is left
                folder.rmdir()
        env_plain = {"id": environment.id, "config": to_plain(given.env)}
        events = witness.words if witness else {}
        plain = {"env": env_plain, "run": to_plain(run), "streams": STREAMS, "events": events}
        write_json(folder / "data.json", plain)
        length, streams = recorded.ended.shape
        print(f"{length * streams:,} steps, {int(recorded.ended.sum()):,} episodes: {folder}")
        if run.rules:
            with Waiting("looking for rules"):
                study = rules_of(env, recorded, run.horizon)
            show(study, RULES)
            write_json(folder / RULES, study.plain())
            print(f"rules: {folder / RULES}")
    return 0
