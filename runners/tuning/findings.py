"""What a study found: its trials, what settings matter, what the best are worth, and their preset file."""

from __future__ import annotations

import datetime
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from ...agents.ranges import current
from ...files import write_whole
from ..reporting.measures import measures_of
from ..reporting.statistics import over_runs
from ..run.config import RunConfig
from ..setup.files import read_json
from ..setup.kinds import settings_class
from ..setup.presets import NONE
from ..setup.resolve import world_class
from ..setup.settings import differences, to_plain
from .space import PREFIX, as_params, described
from .study import Study, is_finite
from .trial import fresh_result

FEW = 4
"""Complete trials of which nothing is said about what settings matter, at most."""
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "given up", TrialState.FAIL: "failed"}
PASSING = {
    *("seed", "num_threads", "vectorization", "device", "torch_threads"),
    *("eval_every", "eval_episodes", "checkpoint_every"),
}
"""Settings of a run that no preset needs."""


def findings(study: Study, failures: Mapping[str, str]) -> dict[str, Any]:
    """All that is told of a study, as plain values.

    Args:
        study: which.
        failures: name of each run with the found settings that failed to its reason.
    """
    best, base = study.best, base_of(study)
    return {
        "env": study.config.environment.id,
        "agent": study.config.agent.name,
        "objective": study.aim.objective,
        "values": value_names(study),
        "directions": study.aim.directions,
        "sampler": study.aim.sampler,
        "runs": study.aim.seeds,
        "episodes": study.config.settings.eval_episodes,
        "score": study.aim.score,
        "length": study.length,
        "space": described(study.space),
        "trials": [_trial(study, each) for each in study.trials],
        "front": sorted(each.number for each in study.optuna.best_trials) if study.complete else [],
        "importance": importance(study),
        "base": base,
        "began": to_plain(current(study.config.agent_config, study.space)),
        "best": None if best is None else best.number,
        "promised": None if best is None else list(best.values),
        "fresh": None if best is None else fresh(study, best.number),
        "failures": dict(failures),
    }


def value_names(study: Study) -> list[str]:
    """What a trial's values are."""
    if study.aim.objective == "time-to-score":
        return [f"transitions to {study.aim.score:g}"]
    if study.aim.objective == "score":
        return ["return"]
    titles = {each.name: each.title for each in measures_of(world_class(study.config.environment))}
    return ["return", titles.get(study.harm, study.harm)]


def base_of(study: Study) -> int | None:
    """The number of the trial with the settings that the study began with, if there is one."""
    params = as_params(study.space, study.config.agent_config)
    same = (trial.number for trial in study.trials[:1] if trial.params == params)
    return next(same, None)


def _trial(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    reason = trial.user_attrs.get("reason")
    return {
        "number": trial.number,
        "state": STATES.get(trial.state, "under way"),
        "values": list(trial.values) if trial.state == TrialState.COMPLETE and trial.values else None,
        "settings": dict(trial.params),
        "runs": trial.user_attrs.get("runs"),
        "seconds": _seconds(trial),
        "evaluations": len(trial.intermediate_values),
        "reason": None if reason is None else str(reason),
    }


def _seconds(trial: FrozenTrial) -> float | None:
    """For how long a trial was trained, if that is known."""
    seconds = trial.user_attrs.get("seconds")
    return seconds if is_finite(seconds) else None


def importance(study: Study) -> dict[str, float]:
    """How much each setting matters to come into the better trials (PED-ANOVA; Watanabe et al. 2023).

    Returns:
        Setting to its share of all, the greatest first; nothing where too few trials are complete.
    """
    values = {tuple(trial.values) for trial in study.complete}
    if len(study.complete) <= FEW or len(values) < 2:
        return {}
    several, sign = len(study.aim.directions) > 1, study.aim.sign
    target = (lambda trial: -sign * trial.values[0]) if several else None  # Optuna's is to be small
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(study.optuna, evaluator=evaluator, target=target)
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


def fresh(study: Study, number: int | None) -> dict[str, Any]:
    """What settings came to with seeds that nothing was searched with.

    Returns:
        Their values, one for each seed that is there, and the mean's interval over seeds.

    Raises:
        ValueError: one line, when a result is damaged.
    """
    results = []
    for seed in study.fresh_seeds:
        path = fresh_result(study, number, seed)
        if not path.exists():
            continue
        plain = read_json(path)
        try:
            value, seconds = [float(each) for each in plain["value"]], float(plain["seconds"])
            measures = {str(name): float(each) for name, each in plain["measures"].items()}
            fits = isinstance(plain["value"], list) and len(value) == len(study.aim.directions)
            if not fits or not all(map(is_finite, [*value, seconds, *measures.values()])):
                raise ValueError
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            raise ValueError(f"{path} was cut short or altered") from None
        results.append({"seed": seed, "value": value, "measures": measures, "seconds": seconds})
    told = [
        over_runs(np.array([each["value"][k] for each in results])) for k in range(len(study.aim.directions))
    ]
    return {"runs": results, "values": told if results else []}


# --- The preset file ------------------------------------------------------------------------------------


def write_preset(study: Study, number: int, path: Path) -> None:
    """Writes a trial's settings as a file that `meze train --preset FILE` takes."""
    config = study.config_of(number, study.config.settings.seed)
    lines = [
        f"# {config.agent.name} in {config.environment.name}, as a search found it; see `meze tune --help`."
    ]
    lines += ["", f"[{config.agent.name}]"]
    lines += [f"{name} = {_toml(value)}" for name, value in preset_of(config).items()]
    lines += [f"provenance.{name} = {_toml(value)}" for name, value in provenance(study, number).items()]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def preset_of(config: RunConfig) -> dict[str, Any]:
    """What differs of a run's settings from those without any preset: names as of flags, to plain values."""
    run = differences(config.settings, settings_class(config.agent)())
    run = {name: value for name, value in run.items() if name.replace("-", "_") not in PASSING}
    agent = differences(config.agent_config, config.agent.config_class()(), PREFIX)
    env = differences(config.env_config, config.environment.config(), "env.")
    if hasattr(config.env_config, "observation"):  # else each agent's own choice would take its place
        env["env.observation"] = config.env_config.observation
    return {name: to_plain(value) for name, value in {**run, **env, **agent}.items()}


def provenance(study: Study, number: int) -> dict[str, Any]:
    """How a trial's settings were found."""
    best, trials = study.trials[number], study.trials
    told = fresh(study, number)["values"]
    found = {
        "by": "search",
        "objective": study.aim.objective,
        **({} if study.aim.score is None else {"score": study.aim.score}),
        "sampler": study.aim.sampler,
        "trials": len(trials),
        "complete": len(study.complete),
        "runs-a-trial": study.aim.seeds,
        "tuning-seeds": [study.seeds[0], study.seeds[-1]],
        "training-seconds": round(sum(_seconds(trial) or 0.0 for trial in trials)),
        "date": datetime.date.today().isoformat(),
        "promised": [round(value, 4) for value in best.values or ()],
    }
    if told:
        found["fresh-seeds"] = [study.fresh_seeds[0], study.fresh_seeds[-1]]
        found["fresh-mean"] = [round(each["mean"], 4) for each in told]
        found["fresh-95"] = [[round(end, 4) for end in each["mean_95"] or ()] for each in told]
    space = {f"space.{name}": value for name, value in described(study.space).items()}
    return found | space


def _toml(value: Any) -> str:
    """A plain value as TOML has it."""
    if value is None:
        return json.dumps(NONE)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(name)} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)  # inf and nan are TOML's, too
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
