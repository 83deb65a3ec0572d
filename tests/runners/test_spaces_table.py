"""docs/spaces.md: each agent is trained for a few steps with each pair of spaces; the page says which were.

MEZE_WRITE_SPACES=1 python -m pytest tests/runners/test_spaces_table.py    # writes the page anew
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import spaces_env
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from meze.agents.registry import agent_specs, fitting_agents, make_agent
from meze.runners.run.rollout import Rollout, evaluate
from meze.runners.setup.kinds import KINDS
from meze.runners.setup.resolve import Environment, make_vector

PAGE = Path(__file__).parents[2] / "docs" / "spaces.md"
NUM_ENVS = 2
GROUPS = {
    "tables": tuple(spec.name for spec in agent_specs() if spec.numbers_only),
    "deep": ("dqn", "pqn", "sb3-dqn"),
    "evolution": ("genetic", "random-search", "cma-es", "neat"),
    "imitators": ("clone", "dagger"),
    "actor-critics": ("ppo", "sb3-ppo", "sb3-a2c", "sb3-recurrent-ppo"),
    "box actors": ("sb3-sac", "sb3-td3"),
}
HEAD = """# Spaces: which agents take what

Each agent was trained for a few steps, and evaluated, with each pair of spaces of a tiny environment
(`tests/runners/spaces_env.py`). The test that does so writes this page, and fails when it is out of date:
`MEZE_WRITE_SPACES=1 python -m pytest tests/runners/test_spaces_table.py`.

- Dict and Tuple observations, nested or not, are flattened as Gymnasium does; so a policy sees one vector.
- Tables see MultiDiscrete and MultiBinary observations as one number, and Dict and Tuple ones that have
  finitely many values. Others need `--encoder`, which makes numbers of arrays (`--encoder kmeans`).
- MultiDiscrete and MultiBinary actions are one number for all but the actor-critics, which choose each part;
  of more than 4,096 combinations only the actor-critics make something. A mask in `info["action_mask"]` has
  the masks of all parts, one after another.
- Box actions need bounds. stable-baselines3's agents see them scaled to -1 .. 1, whatever the bounds.

"""


@dataclasses.dataclass(frozen=True)
class Pair:
    observations: str
    actions: str
    masked: bool = False


TINY = Environment("Tiny/Spaces-v0", "tiny", Pair, 20, None)


def small(spec):
    """An agent's settings, quick to learn with."""
    kind = spec.config_class()
    if kind is None:
        return None
    fields = {field.name for field in dataclasses.fields(kind)}
    wanted = {
        "buffer_size": 64, "learning_starts": 4, "batch_size": 4, "train_freq": 1,
        "gradient_steps": 1, "num_steps": 4, "update_epochs": 1, "num_minibatches": 2, "population_size": 8,
        "elites": 1, "species": 2, "classifier": "tree", "replay_ratio": 0.5,
    }  # fmt: skip
    config = kind(**{name: value for name, value in wanted.items() if name in fields})
    if "net" not in fields:
        return config
    return dataclasses.replace(config, net=dataclasses.replace(config.net, hidden=(8,)))


def make(spec, env, seed):
    spaces = env.single_observation_space, env.single_action_space
    return make_agent(spec.name, *spaces, num_envs=NUM_ENVS, config=small(spec), seed=seed)


def trained(spec, agent, env):
    """The policy of an agent that has learned from a few steps, was saved, and restored."""
    if not spec.is_trained:
        return agent
    if KINDS[spec.kind].rollout:
        rollout = KINDS[spec.kind].rollout_class()(env, agent.policy, 0)
        assert sum(rollout.advance(agent)[0] for _ in range(8)) >= 8 * NUM_ENVS
    elif spec.kind == "searcher":
        population = agent.ask()
        policy = agent.policy_of(population, np.arange(NUM_ENVS))
        Rollout(env, policy, 0).step()
        agent.tell(np.arange(float(len(population))))
        agent.ask()
    else:
        obs, _ = env.reset(seed=0)
        agent.imitate(
            np.repeat(obs, 4, axis=0),
            np.array([env.single_action_space.sample() for _ in range(4 * len(obs))]),
        )
    again = make(spec, env, 1)
    again.load_state_dict(agent.state_dict())
    return again.policy


def takers(observations, actions):
    """The agents that could be trained, and what the others said."""
    took, said = [], {}
    for spec in agent_specs():
        env = make_vector(TINY, Pair(observations, actions), NUM_ENVS, AutoresetMode.SAME_STEP)
        try:
            agent = make(spec, env, 0)
        except ValueError as error:
            said[spec.name] = str(error)
            continue
        took.append(spec.name)
        test = make_vector(TINY, Pair(observations, actions), NUM_ENVS, AutoresetMode.DISABLED)
        policy = trained(spec, agent, env)
        assert (evaluate(test, policy, range(3)).measures["length"] == 5).all()
    known = fitting_agents(env.single_observation_space, env.single_action_space)
    assert [spec.name for spec in known] == [name for name in took if name != "random"]
    for name, line in said.items():
        assert "\n" not in line and line.startswith((name, "imitators")), line
        advice = line.rpartition("; try ")[2]
        assert advice.endswith(", ".join(each.name for each in known)), line
        numbers = isinstance(env.single_action_space, Discrete)
        assert ("--encoder kmeans" in advice) == (name in GROUPS["tables"] and numbers), line
    return took


def cell(took):
    """The agents of a pair, in groups where all of one stand in it."""
    left, words = [name for name in took if name != "random"], []
    for group, members in GROUPS.items():
        if set(members) <= set(left):
            words.append(group)
            left = [name for name in left if name not in members]
    return ", ".join([*words, *(f"`{name}`" for name in left)])


def table():
    """The page."""
    columns = list(spaces_env.ACTIONS)
    lines = [
        "| observations \\ actions | " + " | ".join(columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for observations in spaces_env.OBSERVATIONS:
        cells = [cell(takers(observations, actions)) for actions in columns]
        lines.append(f"| {observations} | " + " | ".join(cells) + " |")
    groups = [f"- {group}: {', '.join(f'`{name}`' for name in names)}" for group, names in GROUPS.items()]
    told = [*lines, "", "`random` takes all.", "", *groups]
    for what, spaces in (("Observations", spaces_env.OBSERVATIONS), ("Actions", spaces_env.ACTIONS)):
        told += ["", f"{what}:", "", *(f"- {name}: `{space}`" for name, space in spaces.items())]
    return "\n".join([*told, ""])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")  # of bounds that lose precision
def test_the_page_says_which_agents_take_what():
    page = HEAD + table()
    if os.environ.get("MEZE_WRITE_SPACES"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "docs/spaces.md is out of date; see the head of this file"
