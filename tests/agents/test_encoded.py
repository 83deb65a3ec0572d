"""An encoder around the environment and one inside the agent come to the same."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorWrapper
from meze.agents import wrappers
from meze.agents.base import Learner
from meze.agents.encoders.registry import find_encoder
from meze.agents.encoders.wrappers import EncodeObservation, Encodes, VectorEncodeObservation
from meze.agents.registry import KINDS, find_agent, make_agent
from meze.agents.wrappers import WrappedLearner
from meze.runners.run.rollout import Rollout

SETTINGS = {"max_episode_steps": 40, "observation": "grid", "pool_size": 4}


def behind(agent, encoder):
    return WrappedLearner(agent, [Encodes(encoder)])


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


def test_ends_may_be_told_of_where_there_are_none(encoder):
    class Telling(VectorWrapper):
        def step(self, actions):
            obs, *rest, info = self.env.step(actions)
            return obs, *rest, {"final_obs": np.full(8, None), "_final_obs": np.zeros(8, bool), **info}

    wrapped = VectorEncodeObservation(Telling(vector()), encoder)
    wrapped.reset(seed=3)
    info = wrapped.step(wrapped.unwrapped.action_masks().argmax(axis=1))[-1]
    assert not info["_final_obs"].any() and info["final_obs"].tolist() == [None] * 8


def test_a_single_environment_shows_codes(encoder):
    env = EncodeObservation(gym.make("meze/City-v0", **SETTINGS), encoder)
    raw = gym.make("meze/City-v0", **SETTINGS)
    assert env.reset(seed=1)[0] == encoder.transform(raw.reset(seed=1)[0][None])[0]
    assert env.step(0)[0] == encoder.transform(raw.step(0)[0][None])[0]
    assert env.observation_space.contains(env.step(0)[0])


@pytest.mark.parametrize("name", ["q-learning", "sarsa"])
def test_learning_is_the_same_with_the_encoder_around_the_environment_and_before_the_agent(encoder, name):
    def learner(env):
        return make_agent(name, encoder.space, env.single_action_space, num_envs=8, seed=0)

    outside = VectorEncodeObservation(vector(), encoder)
    one, moved = learner(outside), learner(outside)
    for env, agent in ((outside, one), behind(moved, encoder).inside(vector())):
        rollout = Rollout(env, agent.policy, 0)
        for _ in range(200):
            rollout.advance(agent)
    assert np.abs(one.q).sum() > 0 and (one.q == moved.q).all()


def test_each_observation_of_a_stream_is_encoded_once(encoder):
    class Counting:
        rows, space = 0, encoder.space

        def transform(self, obs):
            self.rows += len(obs)
            return encoder.transform(obs)

    counting = Counting()
    learner = make_agent("q-learning", encoder.space, vector().single_action_space, num_envs=8, seed=0)
    env, agent = behind(learner, counting).inside(vector())
    rollout, ends = Rollout(env, agent.policy, 0), 0
    for _ in range(100):
        _, _, episodes = rollout.advance(agent)
        ends += 0 if episodes is None else len(episodes.index)
    assert ends > 8
    assert counting.rows == 8 * 101 + ends  # the first ones, each successor, and what follows an end


def test_a_stream_of_codes_goes_on_where_it_was_saved(encoder):
    def begun(seed):
        agent = make_agent("q-learning", encoder.space, vector().single_action_space, num_envs=8, seed=0)
        env, inside = behind(agent, encoder).inside(vector())
        return Rollout(env, inside.policy, seed)

    first, second = begun(0), begun(1)
    for _ in range(9):
        first.step()
    second.load_state_dict(first.state_dict())
    assert (second.step()[0].obs == first.step()[0].obs).all()


@pytest.mark.parametrize("name", ["q-learning", "genetic", "sb3-ppo", "clone"])  # one of each kind
def test_a_wrapper_hands_on_whatever_its_kind_may_have(encoder, name):
    spec = find_agent(name)
    agent = make_agent(name, encoder.space, vector().single_action_space, num_envs=8, seed=0)
    wrapper, base = type(spec.wrapped(agent, [Encodes(encoder)])), KINDS[spec.kind].base
    learns = {"learn", "expected", "discounts_each", "begin", "advance"}  # which those do that are inside
    assert issubclass(wrapper, base) or learns & vars(base).keys()
    parts = {
        part for each in base.__mro__[:-2] for part in (*vars(each), *vars(each).get("__annotations__", ()))
    }
    ours = {part for each in wrapper.__mro__ if each.__module__ == wrappers.__name__ for part in vars(each)}
    assert {part for part in parts if not part.startswith("_")} - learns <= ours


def test_what_a_learner_may_have_is_the_same_behind_an_encoder(encoder):
    class Particular(Learner):
        exact, notes, loaded = False, ("it is particular",), ()

        def prepare(self):
            raise ValueError("no room")

        def learn(self, batch):
            return {}

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            self.loaded = ("all", state)

        def load_policy(self, state):
            self.loaded = ("policy", state)

    agent = Particular()
    wrapped = behind(agent, encoder)
    assert not wrapped.exact and wrapped.notes == ("it is particular",)
    with pytest.raises(ValueError, match="no room"):
        wrapped.prepare()
    wrapped.load_policy({"a": 1})
    assert agent.loaded == ("policy", {"a": 1})


def test_values_behind_an_encoder_are_those_of_codes(encoder):
    learner = make_agent("q-learning", encoder.space, vector().single_action_space, num_envs=8, seed=0)
    learner.q[:] = np.random.default_rng(0).random(learner.q.shape)
    obs, _ = vector().reset(seed=0)
    values = behind(learner, encoder).policy.action_values(obs)
    assert (values == learner.q[encoder.transform(obs)]).all() and len(np.unique(values)) > 1
