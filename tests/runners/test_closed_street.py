"""Who has a model finds the way round a closed street with fewer transitions."""

from dataclasses import replace

import pytest
from gymnasium.vector import AutoresetMode
from meze.agents.dyna import DynaConfig
from meze.agents.registry import make_agent
from meze.agents.schedules import Schedule
from meze.agents.tabular import TabularConfig
from meze.envs.city.config import CityConfig
from meze.runners.run.evaluation import find_contestant, make_evaluation_env, play_episodes
from meze.runners.run.rollout import Rollout
from meze.runners.setup.resolve import find_environment, make_vector

NUM_ENVS = 128
SHARED = {"learning_rate": Schedule(1.0, 1.0, 0), "exploration": Schedule(0.1, 0.1, 0), "gamma": 0.97}
CONFIGS = {"q-learning": TabularConfig(**SHARED), "dyna-q": DynaConfig(**SHARED, memory=1)}
BEFORE = {"q-learning": 200_000, "dyna-q": 60_000}  # of which each drives well
AFTER = 40_000
# Two streets, and three alleys between them too short for a destination; the middle one will be closed.
STREETS = [".++<<<<<++<<<<<++.", ".++>>>>>++>>>>>++."]
ALLEYS = [".v^.....v^.....v^."] * 2
CITY = find_environment("city")


def score(config, policy, episodes=200):
    """The mean return as a share of the expert's; both arrive, or stand until the episode is cut off."""
    env = make_evaluation_env(CITY, config, episodes, max_episode_steps=100)
    expert = find_contestant("expert", CITY, config).policy(env)
    mine, best = (play_episodes(env, each, episodes).measures["return"].mean() for each in (policy, expert))
    return mine / best


def train(learner, config, seed, transitions):
    env = make_vector(CITY, config, NUM_ENVS, AutoresetMode.SAME_STEP, max_episode_steps=100)
    rollout, taken = Rollout(env, learner.policy, seed), 0
    while taken < transitions:
        taken += rollout.advance(learner)[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_dyna_q_recovers_first(seed, tmp_path):
    path = tmp_path / "alleys.txt"
    path.write_text("\n".join(["." * 18, *STREETS, *ALLEYS, *STREETS, "." * 18]))
    # Without chance, traffic or a reward that tells the way.
    quiet = {"hour": 12, "cars": 0, "pedestrians": 0, "ambulance": 0.0, "progress": 0.0, "min_distance": 2}
    before = CityConfig(map=str(path), observation="index", index="place", **quiet)
    after = replace(before, closed=(8, 3))
    env = make_vector(CITY, after, 1, AutoresetMode.SAME_STEP)
    recovered = {}
    for name, config in CONFIGS.items():
        spaces = env.single_observation_space, env.single_action_space
        learner = make_agent(name, *spaces, num_envs=NUM_ENVS, config=config, seed=seed)
        train(learner, before, 1_000 * seed, BEFORE[name])
        assert score(before, learner.policy) > 0.95
        assert score(after, learner.policy) < 0.6
        train(learner, after, 1_000 * seed + 500, AFTER)
        recovered[name] = score(after, learner.policy)
    assert recovered["dyna-q"] > 0.8 > recovered["q-learning"]
