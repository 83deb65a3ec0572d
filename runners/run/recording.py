"""Recordings of what policies see, do and earn, on which encoders and imitators are fitted.

A mixture of policies plays side by side in one batch of environments; what they see, do and earn is kept, in
memory or as plain arrays in a folder. Rows know the number of their episode, so that training and test sets
never share one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ...agents.base import Memory, Policy, decide
from ...agents.encoders.registry import EncoderChain
from ...envs.core.env import world_of
from ...files import check_regular
from ..setup.files import read_json
from ..setup.resolve import Environment, make_vector
from ..setup.seeds import stream_seeds
from ..setup.text import one_line, printable
from .encoding import TARGETS, Encoding, FitSettings, PolicyMixtureSettings
from .evaluation import find_contestant
from .progress import ProgressLine, Waiting
from .rollout import Rollout
from .witness import Witness

TEST_SHARE = 5
"""Every fifth episode is for tests."""
FIT_ENVS = 64
"""Environments that play side by side while observations for an encoder are collected."""
UNKNOWN = -1
"""Steps that remain in an episode whose end was not seen."""


class PolicyMixture(Policy):
    """Policies that share a batch: row b acts as policy b % P says, but for a share of random actions.

    Its memory is that of each of them, and last the teacher's.

    Attributes:
        advice: (B,) what the teacher would have done last; what was done where there is none.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        epsilon: float,
        num_actions: int,
        rng: np.random.Generator,
        teacher: Policy | None = None,
    ) -> None:
        self._policies, self._epsilon, self._num_actions, self._rng = policies, epsilon, num_actions, rng
        self._teacher = teacher
        self._replaced = False
        self.advice: NDArray = np.zeros(0, np.int64)

    def replace(self, policies: Sequence[Policy]) -> None:
        """Lets others, as many, take the places of the policies; they remember nothing yet."""
        self._policies, self._replaced = policies, True

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        asked, players = [*self._policies, *([self._teacher] if self._teacher else [])], len(self._policies)
        memories = list(memory or [None] * len(asked))
        if self._replaced:
            memories[:players], self._replaced = [None] * players, False
        pairs = zip(asked, memories, strict=True)
        each = [decide(policy, obs, kept, mask=mask) for policy, kept in pairs]
        rows = np.arange(len(obs))
        action = np.stack([chosen.action for chosen in each[:players]])[rows % players, rows]
        weights = self._rng.random((len(obs), self._num_actions))
        if mask is not None:
            weights = weights * (mask != 0)
        random = self._rng.random(len(obs)) < self._epsilon
        action = np.where(random, weights.argmax(axis=1), action)
        self.advice = each[-1].action if self._teacher else action
        # Whoever was about something for longer knows by this where it came to nothing.
        pairs = zip(asked, each, strict=True)
        return action, tuple(policy.interrupted(own.memory, own.action != action) for policy, own in pairs)


@dataclass(frozen=True)
class Recorded:
    """T steps of B environments, which played one after the other in B streams."""

    obs: NDArray
    """(T, B, ...) observations."""
    action: NDArray
    """(T, B) what was done."""
    advice: NDArray
    """(T, B) what the teacher would have done; without one, what was done."""
    reward: NDArray[np.float32]
    """(T, B) what was earned."""
    cost: NDArray[np.float32]
    """(T, B) harm done, where the world counts it; else zeros."""
    ended: NDArray[np.bool_]
    """(T, B) whether the episode ended with the step."""
    told: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Name of each target that the world declares to what it told before each step, (T, B)."""
    events: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Name of each event that the world declares to whether it was so in each step, (T, B); nothing where
    nobody looked."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Name of each event to the clause that says it, where one does."""
    terminated: NDArray[np.bool_] | None = None
    """(T, B) whether it terminated, and was not cut off; None: older recordings do not say."""
    final: NDArray | None = None
    """(K, ...) what was observed after the steps of which `cut` is true, in their order; None: it was not
    kept."""

    @property
    def episode(self) -> NDArray[np.int64]:
        """(T, B) number of each step's episode; none stands in two streams."""
        before = np.cumsum(self.ended, axis=0) - self.ended
        streams = self.ended.shape[1]
        return before * streams + np.arange(streams)

    @property
    def cut(self) -> NDArray[np.bool_]:
        """(T, B) after which steps the next one of the stream does not go on: at ends, and the last ones."""
        return self.ended | (np.arange(len(self.ended)) == len(self.ended) - 1)[:, None]

    @property
    def for_test(self) -> NDArray[np.bool_]:
        """(T, B) whether a step's episode is for tests; the others are for training."""
        # Streams begin at once, so numbers of a kind would be episodes of a kind: they are mixed.
        mixed = self.episode.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (mixed >> np.uint64(32)) % np.uint64(TEST_SHARE) == 0

    def steps_to_go(self) -> NDArray[np.int64]:
        """(T, B) steps that remain, this one included; `UNKNOWN` where the end was not seen."""
        out = np.empty(self.ended.shape, np.int64)
        remain = np.full(self.ended.shape[1], UNKNOWN)
        for t in reversed(range(len(out))):
            remain = np.where(self.ended[t], 1, np.where(remain == UNKNOWN, UNKNOWN, remain + 1))
            out[t] = remain
        return out

    def targets(self, target: str, horizon: int) -> tuple[NDArray, NDArray[np.bool_]]:
        """What is to be predicted, (T, B), and where it is known.

        Raises:
            ValueError: for a target that the world does not tell.
        """
        check_target(target, self.told)
        if target == "action":
            return np.asarray(self.advice), np.ones_like(self.ended)
        if target in self.told:
            return np.asarray(self.told[target]), np.ones_like(self.ended)
        remain = self.steps_to_go()
        seen = remain != UNKNOWN
        if target == "steps":
            return remain.astype(np.float32), seen
        left = np.arange(len(remain), 0, -1)[:, None]  # steps of the recording that are left
        # Beyond five horizons lies less than a hundredth of a discounted return.
        known = seen | (left >= horizon * (5 if target == "return" else 1))
        if target == "harm":
            last = np.full(remain.shape[1], horizon + 1)  # steps until harm is done
            out = np.zeros(remain.shape, np.float32)
            for t in reversed(range(len(out))):
                last = np.where(self.cost[t] > 0, 0, np.where(self.ended[t], horizon + 1, last + 1))
                out[t] = last < horizon
            return out, known
        value, discount = np.zeros(remain.shape[1], np.float32), np.float32(1 - 1 / horizon)
        out = np.zeros(remain.shape, np.float32)
        for t in reversed(range(len(out))):
            value = self.reward[t] + discount * np.where(self.ended[t], 0, value)
            out[t] = value
        return out, known

    def samples(self, count: int, target: str | None, horizon: int, rng: np.random.Generator) -> Any:
        """Draws at most so many (N, ...) observations, and their (N,) targets, None without a target."""
        targets, known = (None, np.ones_like(self.ended)) if target is None else self.targets(target, horizon)
        flat = np.flatnonzero(known)
        if len(flat) > count:
            flat = np.sort(rng.choice(flat, count, replace=False))
        t, b = np.unravel_index(flat, self.ended.shape)
        return self.obs[t, b], None if targets is None else targets[t, b]


def collect(
    rollout: Rollout,
    mixture: PolicyMixture,
    num_steps: int,
    folder: Path | None = None,
    tell: Callable[[int], None] = lambda done: None,
    witness: Witness | None = None,
) -> Recorded:
    """Plays on and records.

    Args:
        rollout: a stream of `mixture`, in `SAME_STEP`.
        mixture: who plays.
        num_steps: steps of all environments together, rounded up to whole ones of each.
        folder: an empty one, to which the recording is written while it is made, as `.npy` files; None: to
            memory.
        tell: is told after each step how many there are.
        witness: of the rollout's environments, where events are recorded, too.
    """
    env = rollout.env
    length, streams = -(-num_steps // env.num_envs), env.num_envs
    space, actions = env.single_observation_space, env.single_action_space
    kinds: dict[str, tuple[Any, tuple[int, ...]]] = {
        "obs": (space.dtype, space.shape or ()),
        "action": (actions.dtype, actions.shape or ()),
        "advice": (actions.dtype, actions.shape or ()),
        "reward": (np.float32, ()),
        "cost": (np.float32, ()),
        "ended": (np.bool_, ()),
        "terminated": (np.bool_, ()),
    }
    targets = find_targets(env)
    events = witness.words if witness else {}
    kinds |= dict.fromkeys(targets, (np.float32, ())) | dict.fromkeys(events, (np.bool_, ()))
    wholes = {name: (dtype, (length, streams, *shape)) for name, (dtype, shape) in kinds.items()}
    columns: dict[str, Any] = (
        {name: np.zeros(shape, dtype) for name, (dtype, shape) in wholes.items()}
        if folder is None
        else _reserved(folder, wholes)
    )
    with nullcontext() if folder is None else rows_of_file(folder / "final.npy", *kinds["obs"]) as keep:
        for t in range(length):
            for name, told_now in targets.items():
                columns[name][t] = told_now()
            if witness:
                witness.look()
            step, _ = rollout.step()
            ended = step.terminated | step.truncated
            columns["obs"][t], columns["action"][t] = step.obs, step.action
            columns["reward"][t], columns["ended"][t] = step.reward, ended
            columns["advice"][t], columns["cost"][t] = mixture.advice, rollout.measured("cost")
            columns["terminated"][t] = step.terminated
            if witness:
                for name, is_so in witness.tell(step.action, ended).items():
                    columns[name][t] = is_so
            if keep is not None:
                keep(step.next_obs[ended | (t == length - 1)])
            tell((t + 1) * streams)
    return _recorded(columns, targets, events, events)


def _recorded(
    columns: dict[str, NDArray], targets: Iterable[str], events: Iterable[str], words: Mapping[str, str]
) -> Recorded:
    told, so = ({name: columns.pop(name) for name in names} for names in (targets, events))
    return Recorded(told=told, events=so, words=words, **columns)


@contextmanager
def rows_of_file(path: Path, dtype: Any, shape: tuple[int, ...]) -> Iterator[Callable[[NDArray], None]]:
    """Gives what appends (N, ...) rows to a new `.npy` file, whose number is not known before.

    Raises:
        OSError: when there is no room.
    """
    count, described = 0, {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False}
    with open(path, "wb") as file:

        def head() -> None:
            file.seek(0)  # numpy leaves room for the number to grow
            np.lib.format.write_array_header_1_0(file, described | {"shape": (count, *shape)})

        def keep(rows: NDArray) -> None:
            nonlocal count
            count += len(rows)
            file.write(np.ascontiguousarray(rows, dtype).tobytes())

        head()
        yield keep
        head()


def _reserved(folder: Path, kinds: Mapping[str, tuple[Any, tuple[int, ...]]]) -> dict[str, NDArray]:
    """Arrays in new files whose room is taken on the disk: without, a full one kills the process later.

    Raises:
        OSError: when there is no room, which names the file; then none of them is left.
        ValueError: the same, when an array is larger than any file.
    """
    columns: dict[str, NDArray] = {}
    path = folder
    try:
        for name, (dtype, shape) in kinds.items():
            path = folder / f"{name}.npy"
            columns[name] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
            if hasattr(os, "posix_fallocate"):
                with open(path, "r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except (OSError, ValueError, OverflowError) as error:
        for name in kinds:
            (folder / f"{name}.npy").unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise ValueError(f"{path} would be larger than any file") from None
    return columns


def find_targets(env: VectorEnv) -> dict[str, Callable[[], NDArray]]:
    """Name of each target that the world declares to what tells it of the states as they are, (B,).

    Raises:
        ValueError: when a world declares one whose name is taken.
    """
    world, bare = world_of(env), cast(Any, env.unwrapped)
    if world is None:
        return {}
    if taken := {each.name for each in world.targets} & {*TARGETS, *_COLUMNS, *_LATER}:
        raise ValueError(f"the world can't declare a target {min(taken)}: the name is taken")
    params = world.params()
    return {each.name: lambda of=each.of: of(params, bare.state) for each in world.targets}


def find_witness(env: VectorEnv) -> Witness | None:
    """Who tells what happens in an environment; None where its world declares no events.

    Raises:
        ValueError: when a world declares one whose name is taken.
    """
    world = world_of(env)
    if world is None or not world.events:
        return None
    if taken := {each.name for each in world.events} & {*_COLUMNS, *_LATER, *find_targets(env)}:
        raise ValueError(f"the world can't declare an event {min(taken)}: the name is taken")
    return Witness(env, world)


def check_target(target: str, declared: Collection[str]) -> None:
    """Refuses a target that is neither of the common ones nor declared by the world.

    Raises:
        ValueError: one line that names those that there are.
    """
    if target not in (known := (*TARGETS, *declared)):
        raise ValueError(f"the target {target} needs a world that tells of it; here are {', '.join(known)}")


def find_teacher(
    env: VectorEnv, environment: Environment, name: str | None, cure: str = "name a run as the teacher"
) -> Policy:
    """Who says what should be done.

    Args:
        env: where it is asked.
        environment: what that is.
        name: a reference of the world, or a run's folder; None: the world's `expert`, or its first reference.
        cure: what to do where there is none, for the message.

    Raises:
        ValueError: when the world has no reference and none is named.
    """
    world = world_of(env)
    names = tuple(world.references()) if world else ()
    name = name or ("expert" if "expert" in names else next(iter(names), None))
    if name is None:
        raise ValueError(f"{environment.id} has no reference to learn from; {cure}")
    return find_contestant(name, environment).policy(env)


def find_mixture(
    env: VectorEnv, environment: Environment, settings: PolicyMixtureSettings, seed: int, *, asks: bool
) -> PolicyMixture:
    """Who plays together in an environment.

    Args:
        env: where they act.
        environment: what that is.
        settings: who they are.
        seed: of the random actions.
        asks: whether the teacher is asked what it would do.

    Raises:
        ValueError: for policies that are not there, or actions that are no numbers.
    """
    actions = env.single_action_space
    if not isinstance(actions, Discrete):
        raise ValueError(f"recording needs Discrete actions; got {actions}")
    policies = [find_contestant(name, environment).policy(env) for name in settings.policies]
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    teacher = find_teacher(env, environment, settings.teacher) if asks else None
    return PolicyMixture(policies, settings.epsilon, int(actions.n), rng, teacher)


def play_mixture(
    env: VectorEnv,
    mixture: PolicyMixture,
    num_steps: int,
    seed: int,
    folder: Path | None = None,
    witness: Witness | None = None,
) -> Recorded:
    """Lets a mixture play and records it.

    Args:
        env: vector environment in `SAME_STEP`.
        mixture: who plays; see `find_mixture`.
        num_steps: steps of all environments together.
        seed: of the episodes.
        folder: see `collect`.
        witness: see `collect`.
    """
    rollout = Rollout(env, mixture, stream_seeds(seed, env.num_envs))
    with ProgressLine(-(-num_steps // env.num_envs) * env.num_envs) as progress:
        return collect(
            rollout,
            mixture,
            num_steps,
            folder,
            lambda done: progress.update(done, time.perf_counter()),
            witness,
        )


def fit_encoding(
    chain: EncoderChain, config: Any, fit: FitSettings, environment: Environment, env_config: Any, seed: int
) -> Encoding:
    """Collects observations and fits an encoder on them.

    Raises:
        ValueError: when observations or policies do not fit.
    """
    with closing(make_vector(environment, env_config, FIT_ENVS, AutoresetMode.SAME_STEP)) as env:
        check_target(fit.target, find_targets(env))
        # A misfit shows before anything is played.
        encoder = chain.make(env.single_observation_space, config, seed)
        begun = time.perf_counter()
        asks = chain.supervised and fit.target == "action"
        mixture = find_mixture(env, environment, fit, seed, asks=asks)
        recorded = play_mixture(env, mixture, fit.samples, seed)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    obs, targets = recorded.samples(fit.samples, fit.target if chain.supervised else None, fit.horizon, rng)
    with Waiting(f"fitting {chain.name}"):
        encoder.fit(obs, targets)
    found = Encoding(chain, config, fit, encoder.state_dict())
    print(
        f"{chain.name}: fitted on {len(obs):,} observations in {time.perf_counter() - begun:.1f} s, "
        f"codes are {encoder.space}"
    )
    return found


_COLUMNS = {"obs": "biuf", "action": "iu", "advice": "iu", "reward": "f", "cost": "f", "ended": "b"}
"""A recording's arrays, and what kinds of numbers they hold, as numpy calls them. Of others those of "f" are
targets, and those of "b" events."""
_LATER = "terminated", "final"
"""Arrays that older recordings do not have."""


def read_recorded(folder: Path) -> Recorded:
    """Reads a recording, which stays on disk until it is used.

    Raises:
        OSError: when it was cut short.
        ValueError: one line, when a file is missing or damaged.
    """
    plain = read_json(folder / "data.json")  # written last: without it the recording was cut short
    others = sorted({path.stem for path in folder.glob("*.npy")} - _COLUMNS.keys())
    columns = {}
    for name in (*_COLUMNS, *others):
        path = folder / f"{name}.npy"
        check_regular(path)
        try:
            columns[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # numpy reads a header as Python text, which can fail in any way
            raise ValueError(f"{path} can't be read ({one_line(error)})") from None
    if not all(isinstance(column, np.ndarray) for column in columns.values()):
        raise ValueError(f"{folder}: its arrays are archives")
    shape, kinds = columns["ended"].shape, {**_COLUMNS, "terminated": "b", "final": columns["obs"].dtype.kind}
    fits = len(shape) == 2 and columns["obs"].shape[:2] == shape
    fits &= all(column.shape == shape for name, column in columns.items() if name not in ("obs", "final"))
    if not fits or any(each.dtype.kind not in kinds.get(name, "fb") for name, each in columns.items()):
        raise ValueError(f"{folder}: its arrays do not belong together")
    told = {kind: [name for name in others if columns[name].dtype.kind == kind] for kind in "fb"}
    targets, events = ([name for name in told[kind] if name not in _LATER] for kind in "fb")
    words = plain.get("events", {}) if isinstance(plain, dict) else None
    if not isinstance(words, dict) or not all(isinstance(each, str) for each in words.values()):
        raise ValueError(f"{folder / 'data.json'}: its events must be names with the words that say them")
    events = list(events)
    words = {name: printable(words.get(name, name)) for name in events}  # a stranger's, perhaps
    recorded = _recorded(columns, targets, events, words)
    if recorded.final is not None:
        fitting = int(recorded.cut.sum()), *recorded.obs.shape[2:]
        if (recorded.final.shape, recorded.final.dtype) != (fitting, recorded.obs.dtype):
            raise ValueError(f"{folder}: its final observations do not belong to the others")
    return recorded
