"""An encoder around the environment and one inside the agent come to the same."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.agents.encoded import Coder, EncodeObservation, VectorEncodeObservation, encoded
from meze.agents.encoders import find_encoder
from meze.agents.registry import make_agent
from meze.runners.rollout import Rollout

SETTINGS = {"max_episode_steps": 40, "observation": "grid", "pool_size": 4}


def vector(num_envs=8):
    return gym.make_vec("meze/City-v0", num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **SETTINGS)


@pytest.fixture(scope="module")
def encoder():
    env = vector()
    obs = [env.reset(seed=0)[0]]
    for _ in range(60):
        masks = env.unwrapped.action_masks()
        obs.append(env.step(masks.argmax(axis=1))[0])
    chain = find_encoder("kmeans")
    return chain.make(env.single_observation_space, chain.config_class()(k=20), 0).fit(np.concatenate(obs))


def test_a_vector_environment_shows_codes_and_those_of_the_ends_of_episodes(encoder):
    raw, wrapped = vector(), VectorEncodeObservation(vector(), encoder)
    assert wrapped.single_observation_space == encoder.space
    obs, _ = raw.reset(seed=3)
    codes, _ = wrapped.reset(seed=3)
    ends = 0
    for _ in range(90):
        assert (codes == encoder.transform(obs)).all() and wrapped.observation_space.contains(codes)
        action = raw.unwrapped.action_masks().argmax(axis=1)
        obs, _, _, _, info = raw.step(action)
        codes, _, _, _, coded = wrapped.step(action)
        for row in np.flatnonzero(info.get("_final_obs", np.zeros(8, bool))):
            ends += 1
            assert coded["final_obs"][row] == encoder.transform(info["final_obs"][row][None])[0]
    assert ends > 8


def test_a_single_environment_shows_codes(encoder):
    env = EncodeObservation(gym.make("meze/City-v0", **SETTINGS), encoder)
    raw = gym.make("meze/City-v0", **SETTINGS)
    assert env.reset(seed=1)[0] == encoder.transform(raw.reset(seed=1)[0][None])[0]
    assert env.step(0)[0] == encoder.transform(raw.step(0)[0][None])[0]
    assert env.observation_space.contains(env.step(0)[0])


@pytest.mark.parametrize("name", ["q-learning", "sarsa"])
def test_learning_is_the_same_with_the_encoder_around_the_environment_and_inside_the_agent(encoder, name):
    def learner(env):
        return make_agent(name, encoder.space, env.single_action_space, num_envs=8, seed=0)

    outside = VectorEncodeObservation(vector(), encoder)
    one, inner = learner(outside), learner(outside)
    other = encoded(inner, "learner", encoder)
    for agent, env in ((one, outside), (other, vector())):
        rollout = Rollout(env, agent.policy, 0)
        for _ in range(200):
            rollout.advance(agent)
    assert np.abs(one.q).sum() > 0 and (one.q == inner.q).all()


def test_each_observation_of_a_stream_is_encoded_once(encoder):
    class Counting:
        rows = 0

        def transform(self, obs):
            self.rows += len(obs)
            return encoder.transform(obs)

    counting = Counting()
    agent = encoded(
        make_agent("q-learning", encoder.space, vector().single_action_space, num_envs=8, seed=0),
        "learner",
        counting,
    )
    rollout, ends = Rollout(vector(), agent.policy, 0), 0
    for _ in range(100):
        _, _, episodes = rollout.advance(agent)
        ends += 0 if episodes is None else len(episodes.index)
    assert ends > 8
    assert counting.rows <= 8 * 101 + ends  # the first ones, each successor, and what follows an end


def test_the_same_array_has_the_same_codes(encoder):
    coder = Coder(encoder)
    obs, _ = vector().reset(seed=0)
    codes = coder(obs)
    assert coder(obs) is codes
    changed = obs.copy()
    changed[2] = 0
    assert (coder(changed) == encoder.transform(changed)).all() and coder(obs) is codes
