"""The replay against plain lists of what happened; drawing against its probabilities."""

import math

import numpy as np
import psutil
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from meze.agents.base import Transition
from meze.agents.checkpoint import load, save
from meze.agents.deep.priorities import Priorities, PriorityConfig
from meze.agents.deep.replay import Replay, replay_bytes
from meze.agents.schedules import Schedule
from scipy.stats import chisquare
from torch.utils._python_dispatch import TorchDispatchMode

CPU = torch.device("cpu")
SPACE = Box(0, 2**30, (2,), np.int32)  # a stream's number and the frame's: each frame is told from all others
ACTIONS, GAMMA = 3, 0.9


class Streams:
    """Random streams of transitions, and what a replay of them may give, as lists say.

    A frame that was seen is an entry (number, action, reward, mask before its successor, how it ended) of
    its stream; a truncated episode's last one is an entry, too, with None as its action.
    """

    def __init__(self, num_envs, masked=False, seed=0, terminated=0.08, truncated=0.08):
        self.rng = np.random.default_rng(seed)
        self.chances, self.masked = (terminated, truncated), masked
        self.frames = np.ones(num_envs, np.int32)
        self.entries = [[] for _ in range(num_envs)]

    def step(self):
        rng, num_envs = self.rng, len(self.frames)
        rows = np.arange(num_envs, dtype=np.int32)
        action, reward = rng.integers(ACTIONS, size=num_envs), rng.normal(size=num_envs)
        terminated, truncated = (rng.random((2, num_envs)).T < self.chances).T
        mask = rng.integers(2, size=(num_envs, ACTIONS), dtype=np.int8) if self.masked else None
        obs, next_obs = np.stack([rows, self.frames], 1), np.stack([rows, self.frames + 1], 1)
        for b, entries in enumerate(self.entries):
            ends = "terminated" if terminated[b] else "truncated" if truncated[b] else ""
            entries.append((self.frames[b], action[b], reward[b], None if mask is None else mask[b], ends))
            if ends == "truncated":
                entries.append((self.frames[b] + 1, None, 0.0, None, "final"))
        self.frames = self.frames + 1 + (terminated | truncated)
        return Transition(obs, action, reward, next_obs, terminated, truncated, mask)

    def expected(self, replay_slots, n_step, frames):
        """{(stream, frame): (obs, action, reward, discount, next_obs, next_mask)} that can be drawn.

        Of a stream's slots one is empty; the oldest transitions lost part of their stacks.
        """
        found = {}
        for b, entries in enumerate(self.entries):
            oldest = max(0, len(entries) - replay_slots + frames)
            for i in range(oldest, len(entries)):
                row = self._row(b, entries, i, n_step, frames)
                if row is not None:
                    found[b, entries[i][0]] = row
        return found

    def _row(self, b, entries, i, n_step, frames):
        if entries[i][1] is None:
            return None
        history = []  # of the episode, up to the next observation
        for number, _, _, _, ends in reversed(entries[:i]):
            if ends in ("terminated", "final"):
                break
            history.insert(0, [b, number])
        history.append([b, entries[i][0]])
        obs = self._stack(history, frames)
        reward = 0.0
        for k in range(n_step):
            _, _, r, mask, ends = entries[i + k]
            reward += GAMMA**k * r
            if ends == "terminated":
                return obs, entries[i][1], reward, 0.0, None, None
            if i + k + 1 == len(entries):
                return None  # the successor has not come yet
            history.append([b, entries[i + k + 1][0]])
            if ends == "truncated":
                break
        return obs, entries[i][1], reward, GAMMA ** (k + 1), self._stack(history, frames), mask

    @staticmethod
    def _stack(history, frames):
        padded = [[0, 0]] * frames + history
        return np.array(padded[-frames:] if frames > 1 else padded[-1])


def make(num_envs=3, capacity=30, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    settings = {"gamma": GAMMA, **settings}
    return Replay(
        SPACE, ACTIONS, capacity=capacity, num_envs=num_envs, device=CPU, generator=generator, **settings
    )


def slots_of_a_stream(num_envs, capacity, n_step, frames):
    """As documented: room for the transitions, for those not yet or no longer whole, and two."""
    return math.ceil(capacity / num_envs) + n_step + frames + 1


def drawn(replay, size=4000):
    """The rows of a sample that are transitions, by stream and frame."""
    sample, found = replay.sample(size), {}
    newest = sample.obs.reshape(size, -1, 2)[:, -1].tolist()
    for row in np.flatnonzero(sample.weight.numpy()):
        found[tuple(newest[row])] = [None if column is None else column[row].numpy() for column in sample]
    return found


def assert_as_expected(found, expected):
    assert found.keys() == expected.keys()
    for key, (obs, action, reward, discount, next_obs, next_mask) in expected.items():
        row = found[key]
        assert np.array_equal(row[0], obs) and row[1] == action
        assert row[2] == pytest.approx(reward, rel=1e-5, abs=1e-6) and row[3] == pytest.approx(discount)
        if discount:
            assert np.array_equal(row[4], next_obs)
            assert next_mask is None or np.array_equal(row[5], next_mask != 0)
        else:
            assert row[5] is None or row[5].all()


@pytest.mark.parametrize("num_envs", [1, 3])
@pytest.mark.parametrize("n_step", [1, 2, 5])
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_every_transition_is_what_happened_and_no_other_is_drawn(num_envs, n_step, frames) -> None:
    masked = frames != 2
    capacity = 8 * num_envs
    streams = Streams(num_envs, masked=masked, seed=n_step, terminated=0.15, truncated=0.15)
    replay = make(num_envs, capacity, n_step=n_step, frames=frames, masked=masked)
    slots = slots_of_a_stream(num_envs, capacity, n_step, frames)
    for step in range(50):  # three times around and more
        replay.add(streams.step())
        if step < 25 or step % 5 == 0:
            assert_as_expected(drawn(replay, 800), streams.expected(slots, n_step, frames))


def test_all_of_the_capacity_can_be_drawn_evenly() -> None:
    for num_envs, n_step, frames in ((1, 1, 1), (4, 3, 2), (7, 1, 4)):
        streams = Streams(num_envs, terminated=0.1, truncated=0.0)
        replay = make(num_envs, 50, n_step=n_step, frames=frames)
        for _ in range(150):
            replay.add(streams.step())
        assert len(replay) == replay.capacity == 50
        sample = replay.sample(60_000)
        slots, counts = sample.slot[sample.weight > 0].unique(return_counts=True)
        assert len(slots) >= 50
        assert chisquare(counts).pvalue > 1e-3
        assert set(sample.weight.tolist()) <= {0.0, 1.0}


def test_a_replay_that_is_not_full_draws_what_there_is() -> None:
    replay, streams = make(3, 3000), Streams(3, terminated=0.0, truncated=0.1)
    assert len(replay) == 0 and not replay.sample(10).weight.any()
    replay.add(streams.step())
    assert len(replay) == 3
    for _ in range(20):
        replay.add(streams.step())
    assert len(replay) == 63
    assert replay.sample(1000).weight.mean() > 0.7  # streams that were cut off less have fewer slots in use


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_priorities_are_probabilities_and_weights_make_up_for_them(alpha) -> None:
    beta = 0.7
    config = PriorityConfig(alpha, Schedule(beta, beta, 0))
    replay, streams = make(3, 60, prioritized=config, n_step=2), Streams(3)
    for _ in range(100):
        replay.add(streams.step())
    everything = replay.sample(3000)
    assert (everything.weight == 1).all()  # as long as all have the highest
    slots, counts = everything.slot.unique(return_counts=True)
    assert chisquare(counts).pvalue > 1e-3

    error = torch.rand(len(slots), generator=torch.Generator().manual_seed(0)) * 10 + 0.01
    replay.prioritise(slots, error)
    priority = error.double().numpy() ** alpha
    sample = replay.sample(100_000)
    counts = np.array([(sample.slot == slot).sum() for slot in slots])
    assert counts.sum() == 100_000
    assert chisquare(counts, priority / priority.sum() * 100_000).pvalue > 1e-3
    place = np.searchsorted(slots.numpy(), sample.slot.numpy())
    chance = priority / priority.sum()
    weight = (len(slots) * chance) ** -beta
    drawn_weight = weight[place]
    assert np.allclose(sample.weight, drawn_weight / drawn_weight.max(), rtol=1e-4)

    # New ones get the highest seen, here that of a transition which is gone by then.
    replay.prioritise(slots[:1], torch.tensor([20.0]))
    for _ in range(40):
        replay.add(streams.step())
    sample = replay.sample(3000)
    assert (sample.weight == 1).all()
    replay.prioritise(sample.slot[:1], torch.tensor([10.0]))
    counts = replay.sample(100_000).slot.bincount()
    others = counts[sample.slot.unique()].double().mean()
    assert counts[sample.slot[0]] / others == pytest.approx(0.5**alpha, rel=0.1)


@pytest.mark.parametrize("frames", [1, 3])
def test_by_priority_the_same_transitions_are_drawn_as_evenly(frames) -> None:
    config = PriorityConfig(0.5, Schedule(0.4, 1.0, 500))
    settings = {"n_step": 3, "frames": frames}
    streams, rng = Streams(4, seed=3, terminated=0.15, truncated=0.15), np.random.default_rng(0)
    replay = make(4, 40, prioritized=config, **settings)
    slots = slots_of_a_stream(4, 40, **settings)
    for step in range(60):
        replay.add(streams.step())
        if step % 4 == 3:
            sample = replay.sample(1500)
            assert (sample.weight > 0).all()  # none is drawn in vain
            assert_as_expected(drawn(replay, 1500), streams.expected(slots, **settings))
            chosen = torch.from_numpy(rng.integers(4 * slots, size=100))  # also some that are no transitions
            replay.prioritise(chosen, torch.from_numpy(rng.random(100)) + 1)


def test_sums_stay_exact() -> None:
    """Draws from the tree, against the cumulative sum of all values."""
    rng, slots = np.random.default_rng(0), 5000
    priorities = Priorities(PriorityConfig(1.0, Schedule(1.0, 1.0, 0)), slots, CPU)
    for _ in range(200):
        priorities.admit(*np.split(rng.permutation(slots)[:300], [100]))
        error = torch.from_numpy(rng.exponential(size=64) * 10 ** rng.uniform(-3, 3))
        priorities.update(torch.from_numpy(rng.integers(slots, size=64)), error)
    values = priorities.values.double().numpy()
    chance = values / values.sum()
    generator = torch.Generator().manual_seed(0)
    counts = np.bincount(priorities.draw(400_000, generator), minlength=slots)
    assert not counts[chance == 0].any()
    likely = chance * 400_000 > 20
    rest = counts[~likely].sum(), chance[~likely].sum() * 400_000
    assert chisquare([*counts[likely], rest[0]], [*chance[likely] * 400_000, rest[1]]).pvalue > 1e-3


def test_a_beta_goes_along_its_schedule() -> None:
    replay, streams = make(2, 20, prioritized=PriorityConfig(1.0, Schedule(0.0, 1.0, 100))), Streams(2)
    seen = []
    for _ in range(50):
        replay.add(streams.step())
        slots = replay.sample(200).slot.unique()
        replay.prioritise(slots, torch.linspace(1, 2, len(slots)))
        seen.append(float(replay.sample(500).weight.min()))
    assert seen[0] == 1.0 and seen[-1] == pytest.approx(0.5, abs=0.01)
    assert 0.6 < seen[25] < 0.8  # half of the way: 2 ** -0.5


@pytest.mark.parametrize("prioritized", [None, PriorityConfig(0.6, Schedule(0.4, 1.0, 300))])
@pytest.mark.parametrize("steps", [0, 1, 12, 70])
def test_a_saved_replay_goes_on_bit_for_bit(tmp_path, steps, prioritized) -> None:
    def go_on(replay, steps):
        samples = []
        for _ in range(steps):
            replay.add(streams.step())
            samples.append(replay.sample(64))
            replay.prioritise(samples[-1].slot, samples[-1].reward.abs())
        return samples

    settings = {"prioritized": prioritized, "n_step": 3, "frames": 2, "masked": True}
    streams = Streams(4, masked=True)
    first = make(4, 60, **settings)
    go_on(first, steps)
    save(tmp_path / "replay", first.state_dict())
    second = make(4, 60, **settings)
    second.add(Streams(4, masked=True, seed=9).step())  # what was there before is gone
    second.load_state_dict(load(tmp_path / "replay"))
    second._generator.set_state(first._generator.get_state())
    assert len(first) == len(second)
    assert_same(first.state_dict(), second.state_dict())
    for more in (3, 40):  # soon, and once around
        ahead = streams.rng.bit_generator.state, streams.frames.copy()
        wanted = go_on(first, more)
        streams.rng.bit_generator.state, streams.frames = ahead
        for a, b in zip(wanted, go_on(second, more), strict=True):
            for name, column in a._asdict().items():
                assert column.numpy().tobytes() == getattr(b, name).numpy().tobytes(), name
        assert_same(first.state_dict(), second.state_dict())


def assert_same(state, other):
    assert state.keys() == other.keys()
    for name, value in state.items():
        assert np.asarray(value).tobytes() == np.asarray(other[name]).tobytes(), name


def test_a_saved_replay_does_not_change_any_more() -> None:
    replay, streams = make(), Streams(3)
    for _ in range(30):
        replay.add(streams.step())
    state = replay.state_dict()
    before = {name: np.array(value) for name, value in state.items()}
    for _ in range(30):
        replay.add(streams.step())
    assert all(np.array_equal(state[name], value) for name, value in before.items())


@pytest.mark.parametrize("n_step", [1, 3])
def test_streams_that_start_anew_after_a_resume_are_not_joined_to_what_was(n_step) -> None:
    replay, streams = make(2, 40, n_step=n_step, frames=2), Streams(2, terminated=0.0, truncated=0.0)
    for _ in range(10):
        replay.add(streams.step())
    resumed = make(2, 40, n_step=n_step, frames=2)
    resumed.load_state_dict(replay.state_dict())
    streams.frames[1] += 100  # the first goes on where it was, the second has a new episode
    for _ in range(10):
        resumed.add(streams.step())
    found = drawn(resumed)
    assert {frame for stream, frame in found if stream == 0} == set(range(1, 21 - n_step))
    assert {frame for stream, frame in found if stream == 1} == {
        *range(1, 11 - n_step),
        *range(111, 121 - n_step),
    }
    assert found[1, 111][0].tolist() == [[0, 0], [1, 111]]  # with no frame of the episode before


def test_a_state_that_does_not_fit_is_refused_in_one_line() -> None:
    prioritized = PriorityConfig(0.5, Schedule(1.0, 1.0, 0))
    replay, streams = make(prioritized=prioritized), Streams(3)
    for _ in range(30):
        replay.add(streams.step())
    state = replay.state_dict()
    for other in ({"num_envs": 2}, {"capacity": 20}, {"n_step": 2}, {"frames": 2}, {"masked": True}):
        with pytest.raises(ValueError, match="the saved replay is of another"):
            make(**{"prioritized": prioritized, **other}).load_state_dict(state)
    for broken in ({}, {**state, "ahead": state["ahead"][0]}, {**state, "frame": state["frame"][:, :-1]}):
        with pytest.raises(ValueError, match="the saved replay is of another"):
            replay.load_state_dict(broken)
    for name, value in (
        ("action", ACTIONS),
        ("action", -1),
        ("ahead", 2),
        ("head", replay.state_dict()["ahead"].shape[1]),
        ("age", -1),
        ("priority", np.nan),
    ):
        damaged = {**state, name: state[name].copy()}
        damaged[name].flat[0] = value
        with pytest.raises(ValueError, match=f"damaged: {name} "):
            replay.load_state_dict(damaged)
    for name, value in (("highest", float("nan")), ("added", -1)):
        with pytest.raises(ValueError, match=f"damaged: {name} "):
            replay.load_state_dict({**state, name: value})
    replay.load_state_dict(state)
    assert np.array_equal(replay.state_dict()["frame"], state["frame"])


def test_numbers_are_frames_too_and_observations_may_be_on_the_device_already() -> None:
    generator = torch.Generator().manual_seed(0)
    replay = Replay(
        Discrete(9), 2, capacity=10, num_envs=1, gamma=1.0, frames=3, device=CPU, generator=generator
    )
    no = np.zeros(1, np.bool_)
    for number in range(1, 8):
        obs = np.array([number])
        batch = Transition(obs - obs, np.ones(1), np.ones(1), obs + 1, no, no, None)
        replay.add(batch, torch.from_numpy(obs))
    sample = replay.sample(100)
    for row in np.flatnonzero(sample.weight):
        newest = int(sample.obs[row, -1])
        assert sample.obs[row].tolist() == [max(0, newest - 2), max(0, newest - 1), newest]
        assert sample.next_obs[row].tolist() == [max(0, newest - 1), newest, newest + 1]


def test_masks_are_there_always_or_never() -> None:
    with pytest.raises(ValueError, match="masks always or never"):
        make(masked=True).add(Streams(3).step())
    with pytest.raises(ValueError, match="masks always or never"):
        make().add(Streams(3, masked=True).step())


def test_its_size_is_known_and_must_fit(monkeypatch) -> None:
    pixels = Box(0, 255, (64, 64, 3), np.uint8)
    frames = 1_000_000 * 64 * 64 * 3
    settings = {"num_envs": 64, "n_step": 3, "frames": 4, "masked": True, "prioritized": True}
    assert frames < replay_bytes(pixels, 12, capacity=1_000_000, **settings) < 1.1 * frames
    with pytest.raises(
        ValueError, match=r"a replay of 10,000,000,000 .* GiB free: lower --agent.buffer-size$"
    ):
        make(capacity=10**10)

    size = replay_bytes(SPACE, ACTIONS, capacity=30, num_envs=3)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": size}))
    replay = make()
    assert replay.nbytes == size == sum(column.nbytes for column in replay._columns.values())
    size -= 1
    with pytest.raises(ValueError, match="lower --agent.buffer-size"):
        make()


def test_drawing_never_waits_for_the_device() -> None:
    """None of its operations gives a value, or a shape, to the host."""

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name = function.overloadpacket.__name__
            assert name not in {"_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2"}
            if name in {"index", "index_put", "index_put_"}:
                assert all(index is None or index.dtype == torch.int64 for index in args[1])
            return function(*args, **(kwargs or {}))

    for prioritized in (None, PriorityConfig(0.5, Schedule(1.0, 1.0, 0))):
        replay = make(n_step=2, frames=2, masked=True, prioritized=prioritized)
        streams = Streams(3, masked=True)
        for _ in range(20):
            replay.add(streams.step())
        with Watch():
            sample = replay.sample(32)
            replay.prioritise(sample.slot, sample.reward.abs())
        with pytest.raises(AssertionError), Watch():
            sample.weight[sample.weight > 0].sum()
