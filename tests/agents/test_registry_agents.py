import subprocess
import sys

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from meze.agents import registry
from meze.agents.base import Learner, Searcher
from meze.agents.registry import AgentSpec, agent_specs, find_agent, make_agent


@pytest.mark.parametrize("spec", agent_specs(), ids=lambda spec: spec.name)
def test_every_agent_acts_and_every_learner_learns(spec):
    actions = Box(-1.0, 1.0, (2,)) if spec.actions == ("box",) else Discrete(3)
    agent = make_agent(spec.name, Discrete(5), actions, num_envs=4, seed=0)
    policy = agent.policy if spec.is_trained else agent
    action, *_ = policy.act(np.zeros(4, int), explore=True)
    assert action.shape == (4, *actions.shape)
    assert all(actions.contains(each) for each in action)
    assert hasattr(agent, "learn") == (spec.kind == "learner")
    assert hasattr(agent, "tell") == (spec.kind == "searcher")
    assert spec.summary
    spec.config_class()()  # all settings have defaults


def test_an_unknown_agent_gets_the_closest_match():
    with pytest.raises(ValueError, match="unknown agent 'q-lerning'; did you mean 'q-learning'"):
        find_agent("q-lerning")
    with pytest.raises(ValueError, match="unknown agent 'xyz'; there are random, q-learning"):
        find_agent("xyz")


def test_a_missing_extra_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    for module in ("meze.agents.tabular", "meze.agents.choosing", "meze.caching"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    spec = AgentSpec("deep", ".tabular:QLearning", "learner", "a summary", extra="torch")
    with pytest.raises(ValueError, match=r"deep needs numba, .*pip install 'meze\[torch\]'"):
        spec.agent_class()


class Incomplete(Learner):
    """Has nothing of what a learner must have."""


class Lifeless(Searcher):
    """Has all methods, and nothing that acts."""

    def __init__(self, *args, **kwargs) -> None:
        pass

    ask = policy_of = tell = state_dict = load_state_dict = __init__


@pytest.mark.parametrize(
    ("agent", "kind", "words"),
    [
        (
            Incomplete,
            "learner",
            "Incomplete is a learner, and lacks the methods learn, load_state_dict, state_dict",
        ),
        (Lifeless, "searcher", "Lifeless is a searcher, and has no policy"),
    ],
)
def test_an_agent_without_its_parts_is_refused_in_one_line(agent, kind, words, monkeypatch):
    spec = AgentSpec("own", f"{__name__}:{agent.__name__}", kind, "a summary")
    monkeypatch.setitem(registry._AGENTS, "own", spec)
    with pytest.raises(ValueError) as caught:
        make_agent("own", Discrete(2), Discrete(2), num_envs=1, seed=0)
    assert str(caught.value) == words


def test_a_searcher_begins_with_no_generation():
    searcher = Lifeless()
    assert (searcher.generation, searcher.population, searcher.fitness) == (0, None, None)


def test_the_seed_decides_the_agent_and_no_environment_shares_its_numbers():
    def draws(seed):
        return make_agent("random", Discrete(2), Discrete(2), num_envs=1, seed=seed).rng.random(4)

    assert np.array_equal(draws(3), draws(3))
    assert not np.array_equal(draws(3), draws(4))
    # Gymnasium's environments draw from default_rng(seed): the same numbers would tie actions to transitions.
    assert not np.array_equal(draws(3), np.random.default_rng(3).random(4))


def test_listing_agents_loads_nothing_heavy():
    heavy = ("numba", "torch", "sklearn", "pygame", "meze.agents.tabular")
    code = f"import sys, meze.agents.registry; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
