"""From a run to an ONNX file, which is compared with the run's policy before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ...agents.base import Policy, Transition, decide
from ...agents.memory import NAME, named
from ...checking import needed
from ...files import write_whole
from ...version import __version__
from ..setup.seeds import EVALUATION_SEED
from .config import RunConfig
from .folder import Chosen, RunDir
from .rollout import Rollout

ENVS, STEPS = 50, 20
"""On so many observations a graph is compared with its policy."""
CLOSE = 1e-5
"""Values differ by less, as a share of the largest: float32 tells no more, where they are sums."""


class Ported(NamedTuple):
    """What was written."""

    inputs: dict[str, str]
    """What the graph takes, by name: dtype and shape, in which `batch` is any number."""
    outputs: dict[str, str]
    """What it gives."""
    compared: int
    """Observations on which it was compared with the policy."""
    apart: float
    """By how much values of possible actions differed, at most, as a share of the largest, or of 1."""


def write_onnx(run: RunDir, config: RunConfig, chosen: Chosen, path: Path) -> Ported:
    """Writes a run's policy as an ONNX file.

    Args:
        run: whose.
        config: its settings.
        chosen: which checkpoint acts.
        path: the file.

    Raises:
        ValueError: one line, when it has no graph, or one that does otherwise than the policy.
    """
    if len(chosen.paths) > 1:
        raise ValueError(f"{run.path} mixes checkpoints; --checkpoint names the one to export")
    with needed("meze export --to onnx", "onnx"):
        import onnxruntime
        import onnxscript  # noqa: F401 torch writes with it

        from ...agents.deep.portable import onnx_of, portable
    if config.encoding is not None:
        raise ValueError(
            f"{config.agent.name}: what its encoder does is no graph; onnx takes agents without one"
        )
    if config.macros is not None:
        raise ValueError(
            f"{config.agent.name}: a graph does not remember which macro-action is under way; onnx takes "
            "agents without any"
        )
    facts = {"agent": config.agent.name, "env": config.environment.id, "meze": __version__}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with closing(config.make_env(ENVS, AutoresetMode.SAME_STEP)) as env:
        policy = run.policy(config, env, chosen)
        steps = _played(Rollout(env, policy, EVALUATION_SEED))
        try:
            graph = portable(policy, steps[0].mask is not None, steps[0].obs)
            data = onnx_of(graph, _fed(graph, steps[0]), facts)
        except ValueError as error:
            raise ValueError(f"{config.agent.name}: {error}") from error
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    apart = 0.0
    for step in steps:
        given: list[Any] = session.run(None, _fed(graph, step))  # type: ignore[assignment]
        apart = max(apart, _difference(policy, dict(zip(graph.outputs, given, strict=True)), step))
    if apart > CLOSE:
        raise ValueError(f"{run.path}: the graph's values differ from the policy's by a share of {apart:.1g}")
    write_whole(path, data)
    both = session.get_inputs(), session.get_outputs()
    told = ({each.name: _described(each) for each in some} for some in both)
    return Ported(*told, compared=ENVS * STEPS, apart=apart)


def _played(rollout: Rollout) -> list[Transition]:
    """Steps of a policy that explores; where any has masks, all have."""
    steps = [rollout.step()[0] for _ in range(STEPS)]
    masks = [step.mask for step in steps if step.mask is not None]
    if not masks:
        return steps
    everything = np.ones_like(masks[0])
    return [step._replace(mask=everything) if step.mask is None else step for step in steps]


def _fed(graph: Any, step: Transition) -> dict[str, NDArray]:
    """What a graph takes, of what a policy was given."""
    known = {"obs": step.obs}
    if graph.blank is not None:
        blank = np.repeat(graph.blank, len(step.obs), axis=0)
        known["memory"] = blank if step.memory is None else named(step.memory)[NAME]
    if step.mask is not None:
        known["mask"] = step.mask != 0
    return known


def _difference(policy: Policy, told: Mapping[str, NDArray], step: Transition) -> float:
    """By how much what a graph told differs from what a policy does and tells; see `Ported.apart`."""
    decided = decide(policy, step.obs, step.memory, mask=step.mask)
    values = policy.action_values(step.obs, step.memory)
    if values is not None and step.mask is not None:  # what is impossible may be worth anything
        names = told.keys() & {"values", "probabilities"}
        told = {**told, **{name: np.where(step.mask, told[name], 0) for name in names}}
        values = np.where(step.mask, values, 0)
    wanted = {"values": values, "probabilities": values, "value": policy.state_values(step.obs, step.memory)}
    wanted["next_memory"] = named(decided.memory).get(NAME)
    pairs = [(told[name], each) for name, each in wanted.items() if each is not None and name in told]
    if np.issubdtype(decided.action.dtype, np.floating):
        pairs.append((told["action"], decided.action))
    elif (other := decided.action != told["action"]).any():
        if values is None:
            return np.inf
        rows = np.flatnonzero(other)
        possible = (values if step.mask is None else np.where(step.mask, values, -np.inf))[rows]
        best = possible.argmax(axis=1)
        chosen = best + told["action"][rows] - decided.action[rows]  # as good, but for rounding
        each = np.arange(len(rows))
        pairs.append((possible[each, chosen], possible[each, best]))
    return max(float(np.abs(one - two).max() / max(1.0, np.abs(two).max())) for one, two in pairs)


def _described(each: Any) -> str:
    """A graph's input or output in a few words."""
    dtype = each.type.removeprefix("tensor(").removesuffix(")")
    return f"{dtype} ({', '.join(map(str, each.shape))})"
