"""A run on one page of Markdown: what it is worth, how it is run, with what it was trained.

The page begins as Hugging Face's model cards do. Whatever a run's files say may come from a stranger: names
are registered ones or escaped, and settings stand as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..reporting.limits import limits_told
from ..reporting.measures import measures_of
from ..reporting.scores import Scores, cell
from ..setup.errors import train_command
from ..setup.files import read_json
from ..setup.kinds import KINDS
from ..setup.pretrained import is_pretrained
from ..setup.resolve import world_class
from ..setup.text import command, printable
from .config import RunConfig
from .folder import RunDir

CARD = """{front}

# {agent} in {world}

`{agent}`: {agent_summary}. `{env}`: {world_summary}

It was trained with {length}; what acts is the checkpoint {checkpoint}.

## Scores

{scores}

{note}

## How to run it

{where}

```sh
{commands}
```

```python
import meze

policy, envs = meze.load({load}, num_envs=4)
observations, infos = envs.reset(seed=0)
actions, *_ = policy.act(observations, mask=infos.get("action_mask"))
```

## What it is for

To be looked at, compared and learned from. It acts in `{env}` alone, and its scores hold for the settings
below: what it does with others, nobody has measured. It knows a game, and nothing of the world outside.

## Settings

```json
{settings}
```

## Trained with

`{command}`, seed {seed}; {versions}.
"""


def card(run: RunDir, config: RunConfig, name: str) -> str:
    """The page, of the run's best checkpoint.

    Args:
        run: whose.
        config: its settings.
        name: how the run is to be named in commands.

    Raises:
        ValueError: one line, when it was never evaluated, or its scores are damaged.
    """
    scores = _scores(run)
    environment, agent = config.environment, config.agent
    length, again = KINDS[agent.kind].length, environment.named_again
    extra = f"[{agent.extra}]" if agent.extra else ""
    world = environment.world.summary if environment.world else "an environment of Gymnasium's."
    plain = read_json(run.path / "config.json")
    told = plain.get("versions")
    versions = told if isinstance(told, dict) else {}
    commands = [
        command("pip", "install", f"meze{extra}"),
        printable(command("meze", "watch", name, *again)),
        printable(command("meze", "evaluate", environment.id, "random", name)),
    ]
    return CARD.format(
        front=_front(config, scores),
        agent=agent.name,
        world=escaped(environment.name),
        env=environment.id,
        agent_summary=escaped(agent.summary),
        world_summary=escaped(world),
        length=f"{run.reached():,} {'transitions' if length == 'steps' else length}",
        checkpoint=run.find_checkpoint().words,
        scores="\n".join(_table(config, scores)),
        note=_note(scores),
        where="It ships with meze:" if is_pretrained(name) else "With the run's folder at hand:",
        commands="\n".join(commands),
        load=", ".join(map(json.dumps, [name, *again[1:]])),
        settings=json.dumps(config.described(), indent=2),
        command=train_command(run.path),
        seed=config.settings.seed,
        versions=escaped(", ".join(f"{key} {value}" for key, value in versions.items())),
    )


def escaped(text: str) -> str:
    """A text on one line of Markdown that means nothing but itself."""
    return re.sub(r"([\\`*_\[\]<>|~&#])", r"\\\1", printable(text))


def _scores(run: RunDir) -> Scores:
    """What `evaluation.json` tells."""
    path = run.path / "evaluation.json"
    if not path.exists():
        raise ValueError(f"{run.path} has no scores yet: they are written when its training ends")
    plain = read_json(path)
    try:
        of = {
            agent: {name: _statistic(each) for name, each in told.items()}
            for agent, told in plain["scores"].items()
        }
        limits = {name: _limit(each) for name, each in plain.get("limits", {}).items()}
        return Scores(plain["env"], int(plain["episodes"]), int(plain["seeds"][0]), of, limits)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise ValueError(f"{path} was cut short or altered") from None


def _statistic(plain: Mapping[str, Any]) -> dict[str, Any]:
    interval = plain["mean_95"]
    return {"mean": float(plain["mean"]), "mean_95": interval and [float(each) for each in interval]}


def _limit(plain: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: float(plain[name]) for name in ("most", "mean")}
    kept = {True: True, False: False, None: None}[plain["kept"]]
    low, high = map(float, plain["mean_95"])
    return numbers | {"cost": str(plain["cost"]), "mean_95": [low, high], "kept": kept}


def mean_told(statistic: Mapping[str, Any], share: bool = False) -> str:
    """A mean and its interval."""
    mean, _, interval = cell(statistic, share).partition("\n")
    return f"{mean} ({interval})" if interval else mean


def _table(config: RunConfig, scores: Scores) -> Sequence[str]:
    """The scores as Markdown."""
    there = {name for each in scores.of.values() for name in each}
    measures = [each for each in measures_of(world_class(config.environment)) if each.name in there]
    lines = [["agent", *(each.title for each in measures)], ["---"] * (1 + len(measures))]
    for agent, told in scores.of.items():
        cells = (mean_told(told[each.name], each.share) if each.name in told else "" for each in measures)
        lines.append([escaped(agent), *cells])
    return [f"| {' | '.join(line)} |" for line in lines]


def _note(scores: Scores) -> str:
    """How they came about, and whether a limit was kept."""
    last = scores.first_seed + scores.episodes - 1
    seeds = f"seeds {scores.first_seed} to {last}"
    how = f"Means of {scores.episodes:,} episodes that training has not seen ({seeds}), with 95 % intervals."
    return "\n\n".join([how, *map(escaped, limits_told(scores.limits))])


def _front(config: RunConfig, scores: Scores) -> str:
    """What Hugging Face reads: YAML, whose texts are written as JSON."""
    agent, env = json.dumps(config.agent.name), json.dumps(config.environment.id)
    told = scores.of.get(config.agent.name, {}).get("return")
    metrics = told and [
        "    metrics:",
        "    - type: mean_reward",
        "      name: mean_reward",
        f"      value: {json.dumps(mean_told(told))}",
        "      verified: false",
    ]
    lines = [
        "---",
        "library_name: meze",
        "tags:",
        "- reinforcement-learning",
        f"- {env}",
        f"- {agent}",
        "model-index:",
        f"- name: {agent}",
        "  results:",
        "  - task:",
        "      type: reinforcement-learning",
        "      name: reinforcement-learning",
        "    dataset:",
        f"      name: {env}",
        f"      type: {env}",
        *(metrics or ()),
        "---",
    ]
    return "\n".join(lines)
