"""A policy's graph in ONNX does what the policy does, in what worlds show, whatever the network."""

import gymnasium
import meze.agents.deep.learner  # noqa: F401 it loads torch, whose first warnings are its own
import numpy as np
import pytest
from meze.agents.base import decide
from meze.agents.deep.portable import onnx_of, portable
from meze.agents.memory import NAME, forget, named
from meze.agents.registry import find_agent, make_agent
from meze.runners.run.rollout import action_mask
from meze.runners.setup.settings import from_plain

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ENVS, STEPS = 50, 20
CITY = "meze/City-v0", {"pool_size": 4, "observation": "index"}
GRID = "meze/City-v0", {"pool_size": 4}
PIXELS = "meze/Platformer-v0", {"observation": "pixels", "pool_size": 8}
KIOSK = "meze/Kiosk-v0", {"observation": "sites", "pool_size": 8}
PENDULUM, CARTPOLE, FROZEN = ("Pendulum-v1", {}), ("CartPole-v1", {}), ("FrozenLake-v1", {})
MLP = {"kind": "mlp", "hidden": [32, 32]}

QUICK = [
    ("q-learning", CITY, {}),
    ("pqn", GRID, {"net": {**MLP, "planes": [0, 1, 2], "layer_norm": True}}),
    ("ppo", PENDULUM, {"net": MLP}),
]
SLOW = [
    ("double-q-learning", FROZEN, {}),
    ("sarsa", CITY, {}),
    ("dqn", GRID, {"net": {**MLP, "dueling": True}, "frame_stack": 3}),
    ("dqn", KIOSK, {"net": {"kind": "sites", "hidden": [16], "layer_norm": True, "dueling": True}}),
    ("dqn", FROZEN, {"net": MLP}),
    ("pqn", GRID, {"net": {"kind": "cnn", "channels": [8], "layer_norm": True}}),
    ("pqn", PIXELS, {"net": {"kind": "cnn", "channels": [8, 8], "hidden": [32]}}),
    ("pqn", GRID, {"net": {**MLP, "memory": "gru"}, "num_minibatches": 2}),
    (
        "ppo",
        CARTPOLE,
        {"net": {**MLP, "memory": "lstm"}, "normalize_observations": True, "num_minibatches": 2},
    ),
    ("ppo", GRID, {"net": MLP, "shared_net": True}),
]


def played(policy, env):
    """What a policy that explores sees: observations, memories and masks."""
    obs, info = env.reset(seed=0)
    memory = None
    for _ in range(STEPS):
        mask = action_mask(info)
        obs = obs.copy()
        yield obs, memory, mask
        chosen = decide(policy, obs, memory, explore=True, mask=mask)
        obs, _, terminated, truncated, info = env.step(chosen.action)
        memory = forget(chosen.memory, np.flatnonzero(terminated | truncated))


def vary(agent) -> None:
    """Has an agent that was never trained tell one observation from another."""
    rng = np.random.default_rng(0)
    if hasattr(agent, "q"):
        agent.policy.q[...] = rng.normal(size=agent.policy.q.shape)
    else:
        for weights in agent.network.parameters():
            weights.data += agent.policy.to_device(rng.normal(0, 0.3, weights.shape).astype(np.float32))


def close(given, wanted) -> None:
    """A share of the largest: what a float32 is when it is a sum of large ones, it tells no better."""
    np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-5 * max(1.0, np.abs(wanted).max()))


def feed(graph, obs, memory, mask):
    known = {"obs": obs} | ({} if mask is None else {"mask": np.asarray(mask, bool)})
    if graph.blank is not None:
        known["memory"] = np.repeat(graph.blank, ENVS, 0) if memory is None else named(memory)[NAME]
    return known


@pytest.mark.parametrize(
    ("name", "place", "settings"), QUICK + [pytest.param(*each, marks=pytest.mark.slow) for each in SLOW]
)
def test_a_graph_does_what_its_policy_does(name, place, settings):
    env = gymnasium.make_vec(
        place[0], ENVS, vectorization_mode=None if "/" in place[0] else "sync", **place[1]
    )
    config = from_plain(find_agent(name).config_class(), settings, name)
    spaces = env.single_observation_space, env.single_action_space
    agent = make_agent(name, *spaces, num_envs=ENVS, config=config, seed=1)
    if getattr(config, "normalize_observations", False):
        agent.network.norm.see(agent.policy.to_device(np.random.default_rng(0).normal(3, 2, (64, 4))))
    vary(agent)
    steps = list(played(agent.policy, env))
    graph = portable(agent.policy, steps[0][2] is not None, steps[0][0])
    data = onnx_of(graph, feed(graph, *steps[0]), {})
    session = onnxruntime.InferenceSession(data)
    seen = []
    for obs, memory, mask in steps:
        told = dict(zip(graph.outputs, session.run(None, feed(graph, obs, memory, mask)), strict=True))
        decided = decide(agent.policy, obs, memory, mask=mask)
        assert told["action"].dtype == decided.action.dtype and told["action"].shape == decided.action.shape
        if np.issubdtype(decided.action.dtype, np.floating):
            close(told["action"], decided.action)
        else:
            assert (told["action"] == decided.action).all()
        values, value = agent.policy.action_values(obs, memory), agent.policy.state_values(obs, memory)
        assert values is not None or value is not None
        if values is not None:
            given = told["values" if "values" in told else "probabilities"]
            if mask is not None:
                given, values = given * (mask != 0), values * (mask != 0)
            close(given, values)
        if value is not None:
            close(told["value"], value)
        seen.append(told["values"] if "values" in told else told["value"])
        assert ("memory" in graph.inputs) == ("next_memory" in told)
        if "next_memory" in told:
            close(told["next_memory"], named(decided.memory)[NAME])
    assert np.concatenate(seen).std(axis=0).max() > 1e-3, "whatever it sees is the same to it"
    assert ENVS * STEPS == 1000
    few = session.run(None, {key: each[:3] for key, each in feed(graph, *steps[0]).items()})
    assert all(len(each) == 3 for each in few)  # a batch of any size
    env.close()


def test_what_has_no_graph_says_so():
    space, actions = gymnasium.spaces.Box(-1, 1, (4,), np.float32), gymnasium.spaces.Discrete(3)
    policy = make_agent("random", space, actions, num_envs=2, seed=0)
    with pytest.raises(ValueError, match="onnx takes the tables of q-learning and its kin, and the networks"):
        portable(policy, False, np.zeros((2, 4), np.float32))
