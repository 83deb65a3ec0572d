"""`meze evaluate ENV AGENT_OR_RUN...`: scores on fixed seeds, side by side, with confidence intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..checking import at_least, within
from ..envs.core.measures import Measure
from ..envs.core.splits import LAST_SEED
from .reporting.limits import limits_told, verdict
from .reporting.measures import measures_of
from .reporting.scores import Scores, print_json, print_table, score
from .run.evaluation import Contestant, find_contestant, make_evaluation_env, on_split, play_episodes
from .run.folder import Run
from .run.progress import Waiting
from .setup.presets import default_env_config
from .setup.pretrained import is_run
from .setup.resolve import Environment, Vectorization, find_environment, world_class
from .setup.seeds import EVALUATION_SEED
from .setup.settings import as_words, group, leading_names, parse, take_flag, wrapped

USAGE = "meze evaluate ENV AGENT_OR_RUN... [flags]"
DESCRIPTION = f"""Plays episodes without exploring and prints their scores side by side.

Each AGENT_OR_RUN is `random`, a reference policy of the world such as `expert`, a run's folder, or a trained
agent that ships with meze, such as `pretrained:city`.
Episode k starts from seed {EVALUATION_SEED} + k; training's seeds lie below. A world that has a `split` is
evaluated on its `test` split, unless --env.split says otherwise. A run whose network is code of another
package needs `--network package.module:Class` as well."""


@dataclass(frozen=True)
class EvaluateSettings:
    """What to evaluate on."""

    episodes: int = 1000
    """Episodes of each agent."""
    num_threads: int = 1
    """Threads that step the environments (the project's own worlds only)."""
    vectorization: Vectorization = "sync"
    """Environments of others step one after another, or `async`: each in a process of its own."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; by default the environment's own limit, or 1000."""
    first_seed: int | None = None
    """Episode k starts from this plus k; of a world with a `split` the maps, too, are those from this on, or
    from 2,000,000,000 more where somebody may have trained on them. So anybody can judge on episodes that
    nobody has chosen."""
    checkpoint: str = "best"
    """Of runs: `best` by the evaluations on the way, `newest`, or the step after which it was written; of a
    searcher's run, the generation."""
    json: bool = False
    """Print JSON instead of a table."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "episodes", "num_threads", "max_episode_steps")
        within(self, 0, LAST_SEED, "first_seed")


def evaluate(
    env: str,
    contestants: Iterable[str | Path | Run],
    settings: Mapping[str, Any] | None = None,
    /,
    *,
    network: str | None = None,
    **evaluation: Any,
) -> Scores:
    """Scores agents and runs side by side as `meze evaluate` does.

    Args:
        env: a world's name, any Gymnasium id, `package.module:Id` or `package.module:Class`.
        contestants: `random`, the world's references such as `expert`, runs, their folders, or
            `pretrained:NAME`.
        settings: the flags of `meze evaluate` without dashes, to values: `{"env.hour": 8}`.
        network: `package.module:Class`, needed where a run's network lies in another package.
        **evaluation: the same for flags whose names have no dot: `episodes=1000, first_seed=...`.

    Returns:
        The scores.

    Raises:
        ValueError: one line, for what is not there or does not fit.
    """
    names = [str(each.path if isinstance(each, Run) else each) for each in contestants]
    words = as_words({**(settings or {}), **evaluation})
    return _play([env, *names], words, [network] if network else [], show=False).scores


class _Evaluation(NamedTuple):
    """Scores, and what is said with them."""

    settings: EvaluateSettings
    contestants: list[Contestant]
    measures: Sequence[Measure]
    scores: Scores


def _find(
    environment: Environment, wanted: Sequence[str], networks: Collection[str], checkpoint: str
) -> list[Contestant]:
    """The contestants; those without settings of their own have the first run's."""
    if doubled := [name for name, count in Counter(wanted).items() if count > 1]:
        raise ValueError(f"{doubled[0]} is named twice")
    find = partial(find_contestant, environment=environment, networks=networks, checkpoint=checkpoint)
    runs = {name: find(name) for name in wanted if is_run(name)}
    base = next((run.env_config for run in runs.values()), default_env_config(environment))
    found = [runs.get(name) or find(name, env_config=base) for name in wanted]
    called = Counter(each.name for each in found)  # folders of the same name are told by their paths
    return [
        replace(each, name=name) if called[each.name] > 1 else each
        for name, each in zip(wanted, found, strict=True)
    ]


def _play(
    names: Sequence[str], flags: Sequence[str], networks: Collection[str], *, show: bool
) -> _Evaluation:
    """Plays the episodes.

    Args:
        names: environment and contestants.
        flags: settings.
        networks: of other packages.
        show: whether to say what is going on, unless JSON is wanted.
    """
    checkpoint = (take_flag(flags, "--checkpoint")[0] or ["best"])[-1]
    environment = find_environment(names[0])
    contestants = _find(environment, names[1:], networks, checkpoint)
    scores: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    measures = measures_of(world_class(environment))
    settings, first = EvaluateSettings(), EVALUATION_SEED
    for contestant in contestants:
        default = group("Evaluate", run=EvaluateSettings(), env=on_split(contestant.env_config))
        given = parse(default, flags, prog=f"meze evaluate {' '.join(names)}", description=DESCRIPTION)
        settings, env_config = given.run, given.env
        first = EVALUATION_SEED if settings.first_seed is None else settings.first_seed
        if settings.first_seed is not None and getattr(env_config, "split", None) == "test":
            is_trained_on = first < EVALUATION_SEED
            env_config = on_split(env_config, first + is_trained_on * 2 * EVALUATION_SEED)
        env = make_evaluation_env(
            environment,
            env_config,
            settings.episodes,
            num_threads=settings.num_threads,
            vectorization=settings.vectorization,
            max_episode_steps=settings.max_episode_steps,
        )
        said = Waiting(f"evaluating {contestant.name}") if show and not settings.json else nullcontext()
        with closing(env), said:
            played = play_episodes(env, contestant.policy(env), settings.episodes, first)
        scores[contestant.name] = score(played, measures, env_config)
        if contestant.limit:
            limits[contestant.name] = verdict(contestant.limit, played.measures)
    found = Scores(environment.id, settings.episodes, first, scores, limits)
    return _Evaluation(settings, contestants, measures, found)


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) < 2:
        raise ValueError(f"usage: {USAGE}")
    networks, flags = take_flag(args[len(names) :], "--network")
    settings, contestants, measures, scores = _play(names, flags, networks, show=True)
    if settings.json:
        print_json(scores.plain())
        return 0
    chosen = "" if settings.first_seed is None else f" from seed {scores.first_seed:,} on"
    notes = [f"{each.name}: the checkpoint {each.checkpoint}." for each in contestants if each.checkpoint]
    title = f"{scores.env}, {scores.episodes} episodes{chosen}"
    print_table(title, scores.of, " ".join(notes), measures)
    for line in limits_told(scores.limits):
        print(wrapped(line))
    return 0
