"""The loop: true successors, masks, measures, evaluation by seed, and going on from a saved state."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.kiosk.world import Kiosk
from meze.runners.reporting.measures import measures_of
from meze.runners.run.rollout import ReferencePolicy, Rollout, Tally, evaluate

NUM_ENVS, LIMIT = 5, 12


class Scripted:
    """Chooses by observation and mask alone, so a row's action does not depend on the others."""

    def act(self, obs, memory=None, *, explore, mask=None):
        wish = np.where((obs % 3 == 0) & (obs < 6), 1, 2)  # in the corridor some arrive and some do not
        if mask is not None:
            wish = np.where(mask[np.arange(len(wish)), wish] != 0, wish, np.argmax(mask != 0, axis=1))
        return wish, memory


class Remembering(Scripted):
    """Remembers how many steps each episode has had, and the last two places."""

    def act(self, obs, memory=None, *, explore, mask=None):
        if memory is None:
            memory = np.zeros(len(obs), np.int64), np.zeros((len(obs), 2), np.int64)
        self.seen = memory
        steps, places = memory
        places = np.stack([places[:, 1], obs], axis=1)
        return super().act(obs, explore=explore, mask=mask)[0], (steps + 1, places)


def native(mode, num_envs=NUM_ENVS):
    return WorldVectorEnv("toy_world:Corridor", num_envs, LIMIT, mode)


def foreign(mode, num_envs=NUM_ENVS):
    def make():
        return gymnasium.make("toy/Corridor-v0", max_episode_steps=LIMIT)

    return SyncVectorEnv([make] * num_envs, autoreset_mode=mode)


@pytest.mark.parametrize("make", [native, foreign])
def test_transitions_equal_those_of_single_environments(make) -> None:
    rollout = Rollout(make(AutoresetMode.SAME_STEP), Scripted(), seeds=3)
    singles = [gymnasium.make("toy/Corridor-v0", max_episode_steps=LIMIT) for _ in range(NUM_ENVS)]
    seen = [env.reset(seed=3 + b) for b, env in enumerate(singles)]
    totals = np.zeros((NUM_ENVS, 2))
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(60):
        transition, episodes = rollout.step()
        finished = dict(zip(episodes.index, range(NUM_ENVS), strict=False)) if episodes else {}
        for b, env in enumerate(singles):
            obs, info = seen[b]
            action = Scripted().act(np.array([obs]), explore=True, mask=info["action_mask"][None])[0][0]
            next_obs, reward, terminated, truncated, next_info = env.step(action)
            totals[b] += reward, 1
            assert transition.obs[b] == obs and transition.action[b] == action
            assert transition.reward[b] == reward and transition.next_obs[b] == next_obs
            assert (transition.terminated[b], transition.truncated[b]) == (terminated, truncated)
            assert np.array_equal(transition.mask[b], info["action_mask"])
            assert np.array_equal(transition.next_mask[b], next_info["action_mask"])
            seen[b] = next_obs, next_info
            assert (b in finished) == (terminated or truncated)
            if b in finished:
                row = finished[b]
                assert episodes.measures["return"][row] == pytest.approx(totals[b, 0])
                assert episodes.measures["length"][row] == totals[b, 1]
                ends["terminated"] += terminated
                ends["truncated"] += truncated
                totals[b] = 0
                seen[b] = env.reset()
    assert min(ends.values()) > 0  # both kinds of end were met


def test_measures_of_the_last_step_are_kept_apart_from_the_next_episode() -> None:
    class Stub:
        """Two environments; the first one's episode ends in the second step."""

        num_envs = 2
        unwrapped = None
        step_number = 0

        def reset(self, *, seed):
            return np.zeros(2, np.int64), {}

        def step(self, action):
            self.step_number += 1
            ended = np.array([self.step_number == 2, False])
            info = {"cost": np.array([1, 0]), "_cost": np.ones(2, bool)}
            info |= {"success": np.array([False, True]), "_success": np.ones(2, bool)}
            if ended.any():
                info["cost"] = np.array([0, 5])  # 0 is of the next episode
                final = {"cost": np.array([7, 0]), "success": np.array([True, False])}
                info |= {"final_obs": np.array([9, None], object), "final_info": final}
            return np.zeros(2, np.int64), np.ones(2), ended, np.zeros(2, bool), info

    rollout = Rollout(Stub(), Scripted(), seeds=0)  # type: ignore[arg-type]
    assert rollout.step()[1] is None
    transition, episodes = rollout.step()
    assert episodes is not None and transition.next_obs.tolist() == [9, 0]
    assert {name: values.tolist() for name, values in episodes.measures.items()} == {
        "return": [2.0],
        "length": [2.0],
        "cost": [8.0],  # 1 + 7
        "success": [1.0],
    }


@pytest.mark.parametrize("make", [native, foreign])
def test_evaluation_depends_on_seeds_alone(make) -> None:
    seeds = range(100, 123)
    expected = []
    for seed in seeds:
        env = gymnasium.make("toy/Corridor-v0", max_episode_steps=LIMIT)
        obs, info = env.reset(seed=seed)
        total, length, over = 0.0, 0, False
        while not over:
            action = Scripted().act(np.array([obs]), explore=False, mask=info["action_mask"][None])[0][0]
            obs, reward, terminated, truncated, info = env.step(action)
            total, length, over = total + reward, length + 1, terminated or truncated
        expected.append((total, length))
    for num_envs in (1, 4, 23, 40):
        played = evaluate(make(AutoresetMode.DISABLED, num_envs), Scripted(), seeds)
        assert played.index.tolist() == list(range(23))
        assert list(zip(played.measures["return"], played.measures["length"], strict=True)) == expected


def test_evaluation_of_a_foreign_environment_without_masks() -> None:
    def play(num_envs):
        env = gymnasium.make_vec(
            "FrozenLake-v1", num_envs, "sync", {"autoreset_mode": AutoresetMode.DISABLED}
        )
        return evaluate(env, Scripted(), range(50)).measures

    one, many = play(1), play(8)
    assert all(np.array_equal(one[name], many[name]) for name in ("return", "length"))
    assert len(set(one["length"])) > 3  # slippery, so seeds matter


def test_references_read_the_current_states() -> None:
    env = native(AutoresetMode.DISABLED)
    played = evaluate(env, ReferencePolicy(env.reference("expert")), range(8))
    assert (played.measures["return"] > 0.9).all()  # it walks straight to the goal


def test_going_on_from_a_saved_state() -> None:
    first = Rollout(native(AutoresetMode.SAME_STEP), Scripted(), seeds=1)
    for _ in range(17):
        first.step()
    second = Rollout(native(AutoresetMode.SAME_STEP), Scripted(), seeds=99)
    second.load_state_dict(first.state_dict())
    ends = 0
    for _ in range(30):
        (a, a_ended), (b, b_ended) = first.step(), second.step()
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert (a_ended is None) == (b_ended is None)
        if a_ended is not None and b_ended is not None:
            ends += 1
            assert all(np.array_equal(a_ended.measures[k], b_ended.measures[k]) for k in a_ended.measures)
    assert ends > 2


def test_memory_is_forgotten_where_an_episode_ends() -> None:
    rollout = Rollout(native(AutoresetMode.SAME_STEP), policy := Remembering(), seeds=1)
    length, lengths = np.zeros(NUM_ENVS), set()
    for _ in range(40):
        _, episodes = rollout.step()
        assert np.array_equal(policy.seen[0], length)
        assert not policy.seen[1][length == 0].any()
        length += 1
        if episodes is not None:
            assert np.array_equal(episodes.measures["length"], length[episodes.index])
            length[episodes.index] = 0
            lengths |= {len(episodes.index)}
    assert min(lengths) < NUM_ENVS  # some rows forget while others remember


def test_transitions_carry_what_was_known_when_acting() -> None:
    class Telling(Remembering):
        def act(self, obs, memory=None, *, explore, mask=None):
            action, following = super().act(obs, memory, explore=explore, mask=mask)
            return action, following, {"saw": obs + 100}

    rollout, before = Rollout(native(AutoresetMode.SAME_STEP), Telling(), seeds=1), None
    for _ in range(20):
        transition, _ = rollout.step()
        assert transition.memory is before
        assert np.array_equal(transition.extras["saw"], transition.obs + 100)
        before = rollout._memory


def test_memory_is_part_of_the_saved_state() -> None:
    first = Rollout(native(AutoresetMode.SAME_STEP), Remembering(), seeds=1)
    for _ in range(17):
        first.step()
    state = first.state_dict()
    second = Rollout(native(AutoresetMode.SAME_STEP), Remembering(), seeds=99)
    second.load_state_dict(state)
    first.step(), second.step()
    assert all(np.array_equal(a, b) for a, b in zip(first._memory, second._memory, strict=True))
    assert first._memory[0].max() > 1

    for damaged in (
        {"memory.0": state["memory.0"][1:]},
        {"memory.1": state["memory.1"].astype(np.int8)},
        {"memory": state["memory.0"]},
        {"memory.0": "many"},
    ):
        with pytest.raises(ValueError, match="memory is damaged"):
            second.load_state_dict(state | damaged)


def test_an_objective_is_that_of_the_last_step():
    tally = Tally(2, measures_of(Kiosk))
    for objective in ([5.0, 9.0], [4.0, 8.0]):
        tally.add(np.ones(2), {"objective": np.array(objective)})
    # Row 1 ends here: its own last objective is in `final_info`, `info` tells of its next episode.
    ended = np.array([1])
    tally.add(np.ones(2), {"objective": np.array([3.0, 99.0])}, ended, {"objective": np.array([0.0, 7.0])})
    assert tally.take(ended)["objective"] == [7.0]
    tally.add(np.ones(2), {"objective": np.array([2.0, 6.0])})
    assert tally.take(np.array([0, 1]))["objective"].tolist() == [2.0, 6.0]
