"""Settings of agents that were others in older versions: their runs still load, messages tell the name."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from ...agents.schedules import Schedule

RENAMED = {
    "clip": "clip_range",
    "crossover": "crossover_rate",
    "entropy": "ent_coef",
    "epochs": "update_epochs",
    "epsilon": "exploration",
    "frames": "frame_stack",
    "log_deviation": "log_std_init",
    "minibatches": "num_minibatches",
    "mutation": "mutation_rate",
    "n_epochs": "update_epochs",
    "n_steps": "num_steps",
    "noise": "action_noise",
    "normalise_advantages": "normalize_advantages",
    "normalise_observations": "normalize_observations",
    "normalise_rewards": "normalize_rewards",
    "planning": "planning_steps",
    "population": "population_size",
    "prioritised": "prioritized",
    "replay": "buffer_size",
    "replay_checkpoint": "buffer_checkpoint",
    "rollout": "num_steps",
    "step": "sigma",
    "step_size": "learning_rate",
    "target_every": "target_update_interval",
    "target_rate": "tau",
    "tournament": "tournament_size",
    "trace_decay": "q_lambda",
    "updates_per_step": "replay_ratio",
    "value_weight": "vf_coef",
    "warm_up": "learning_starts",
}
"""Old names to new ones; an old one that settings still have holds (SARSA(lambda)'s `trace_decay`)."""


def called_now(flag: str, there: Collection[str]) -> str:
    """A hint for who uses a setting's old name; empty where there is none.

    Args:
        flag: how somebody calls it, `--agent.epsilon.start`.
        there: the flags that there are.
    """
    words = flag.split(".")
    for place, word in enumerate(words):
        name = word.lstrip("-")
        new = RENAMED.get(name.replace("-", "_"), "").replace("_", "-")
        now = ".".join([*words[:place], word.removesuffix(name) + new, *words[place + 1 :]])
        if new and now in there:
            return f": it is {now} now"
    return ""


def renewed(config_class: type, plain: Any, num_envs: Any) -> Any:
    """An agent's settings from a run's file by the names of today.

    Args:
        config_class: the class of the settings.
        plain: decoded JSON, which may come from a stranger; what does not fit stays, to be refused.
        num_envs: environments of the run.
    """
    if not isinstance(plain, Mapping):
        return plain
    defaults = {field.name: field.default for field in dataclasses.fields(config_class)}
    names, found = defaults.keys(), {}
    for name, value in plain.items():
        new = RENAMED[name] if name not in names and RENAMED.get(name) in names else name
        default = defaults.get(new)
        if isinstance(default, Schedule) and isinstance(value, float):
            # It never changed then. The start is that of presets which name the end alone: rows match.
            value = {"start": default.start, "end": value, "steps": 0}
        found[new] = value
    with contextlib.suppress(ArithmeticError, KeyError, TypeError):
        if "target_every" in plain and "replay_ratio" in names:  # then in steps of the optimiser
            found["target_update_interval"] = max(1, round(plain["target_every"] / found["replay_ratio"]))
        if "n_epochs" in plain and "num_minibatches" in names:  # then by their size
            found["num_minibatches"] = max(1, found["num_steps"] * num_envs // found.pop("batch_size"))
    return found
