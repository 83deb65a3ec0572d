"""Checks that a world keeps its promises; for the project's worlds and for those of others.

from meze.envs.core.conformance import check_world
check_world("my_package/Maze-v0", observation="grid")
"""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from ...comparing import assert_same
from .batch import RESET_SEEDED, SAME_STEP, Batch, Outputs
from .env import WorldEnv, seed_keys
from .interpreted import interpreted
from .measures import BY_NAME, Played, check_measures
from .registry import find_world
from .vector import WorldVectorEnv
from .world import CORE_FIELDS, Renderer, World, make_world

SEED = 1234


def check_world(world: str | type[World], *, steps: int = 200, **settings: Any) -> None:
    """Checks a world in one config.

    Args:
        world: a registered name or id, the world's class, or `package.module:Class`.
        steps: length of the random rollouts.
        **settings: fields of the config, such as the observation mode.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    case = _Case(world, steps, settings)
    for check in CHECKS:
        try:
            check(case)
        except AssertionError as error:
            promise = (check.__doc__ or "").split("\n")[0]
            raise AssertionError(f"{case.name}: {promise} Not so: {error}") from error


class _Case:
    """The world under check, and how to make environments of it."""

    def __init__(self, world: str | type[World], steps: int, settings: dict[str, Any]) -> None:
        registered = isinstance(world, str) and ":" not in world
        self.spec = find_world(world) if registered else None  # type: ignore[arg-type]
        self.source: Any = self.spec.world if self.spec else world
        self.name = self.spec.id if self.spec else str(world)
        self.settings = settings
        self.steps = steps

    @cached_property
    def world(self) -> World:
        return make_world(self.source, self.settings)

    @property
    def is_drawn(self) -> bool:
        return type(self.world).renderer is not World.renderer

    def single(self, render_mode: str | None = None) -> WorldEnv:
        """An environment that shares nothing."""
        return WorldEnv(self.source, render_mode, **self.settings)

    def vector(self, num_envs: int, **arguments: Any) -> WorldVectorEnv:
        """Environments on the case's world."""
        return WorldVectorEnv(self.world, num_envs, **arguments)

    def actions(self, masks: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
        """Random possible actions: (N,) of (N, A) masks."""
        return (rng.random(masks.shape) * (masks + 1e-9)).argmax(axis=1)

    def trajectory(self, seed: int) -> Iterator[tuple[WorldEnv, Any, float, bool, dict[str, Any]]]:
        """Steps of a single environment under random possible actions, reset whenever it terminates."""
        env, rng = self.single(), np.random.default_rng(seed)
        obs, info = env.reset(seed=seed)
        yield env, obs, 0.0, False, info
        for _ in range(self.steps):
            action = self.actions(env.action_masks()[None], rng)[0]
            obs, reward, terminated, _, info = env.step(action)
            yield env, obs, reward, terminated, info
            if terminated:
                obs, info = env.reset()
                yield env, obs, 0.0, False, info


# ---------------------------------------------------------------- the shape of the world


def _has_the_parts(case: _Case) -> None:
    """A world has a frozen config, read-only params, and records that begin with the core's fields."""
    world = case.world
    needed = ("config", "kernels", "state_dtype", "observation_space", "action_space")
    missing = [name for name in needed if not hasattr(world, name)]
    assert not missing, f"it has no {' and no '.join(missing)}"
    assert dataclasses.is_dataclass(world.config), "the config is no dataclass"
    assert vars(type(world.config))["__dataclass_params__"].frozen, "the config's dataclass is not frozen"
    names = [name for name, *_ in CORE_FIELDS]
    assert list((world.state_dtype.names or ())[: len(names)]) == names, world.state_dtype.names
    assert world.params() is world.params(), "params() builds its tables anew"
    for name, value in zip(world.params()._fields, world.params(), strict=True):  # type: ignore[attr-defined]
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, f"params.{name} can be written"


def _gymnasium_accepts(case: _Case) -> None:
    """Gymnasium's check_env passes without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if case.spec is not None:
            env = gymnasium.make(case.spec.id, **case.settings).unwrapped
        else:
            env = case.single()
        try:
            check_env(env, skip_render_check=case.spec is None or not case.is_drawn)
        except Exception as error:
            raise AssertionError(str(error)) from error
        finally:
            env.close()


def _spaces_hold(case: _Case) -> None:
    """Observations lie in the space, rewards are finite."""
    for env, obs, reward, _, _ in case.trajectory(SEED):
        assert obs in env.observation_space, f"observation {obs!r} is not in {env.observation_space}"
        assert np.isfinite(reward), f"reward {reward}"


def _parts_add_up(case: _Case) -> None:
    """The reward is the sum of its parts."""
    for _, _, reward, _, info in case.trajectory(SEED):
        parts = {name: value for name, value in info.items() if name.startswith("reward_")}
        if parts:
            assert sum(parts.values()) == reward, f"reward {reward} of parts {parts}"


def _actions_have_names(case: _Case) -> None:
    """Every action has a name, or none has, and buttons have an action whichever are held."""
    world, count = case.world, case.world.action_space.n  # type: ignore[attr-defined]
    assert len(world.action_names) in (0, count), f"{len(world.action_names)} names of {count} actions"
    for held in ((), *((name,) for name in world.buttons), world.buttons) if world.buttons else ():
        action = world.action_of(held)
        assert 0 <= action < count, f"holding {', '.join(held) or 'nothing'} is action {action} of {count}"


def _declares_what_it_tells(case: _Case) -> None:
    """Measures are made of infos, targets lie in their range, events are bools; telling changes nothing."""
    world, counted = case.world, defaultdict[str, list[float]](list)
    try:
        check_measures(world.measures)
    except ValueError as error:
        raise AssertionError(str(error)) from error
    names = [each.name for each in (*world.targets, *world.events)]
    assert len(set(names)) == len(names), f"one of {', '.join(names)} is declared twice"
    earlier = lately = np.zeros(0)
    for env, _, reward, _, info in case.trajectory(SEED):
        declared = [*(each for each in world.measures if each.how), *world.costs]
        missing = [each.name for each in declared if each.name not in info]
        assert not missing, f"its infos have no {missing[0]}"
        for each in (*BY_NAME, *world.measures):
            if each.name in info:
                counted[each.name].append(float(info[each.name]))
        counted["return"].append(reward)
        counted["length"].append(1.0)
        state, before = env.get_state(), env.get_state()
        for target in world.targets:
            values = target.of(world.params(), state)
            fits = values.shape == (1,) and values.dtype == np.float32
            assert fits, f"{target.name} is of shape {values.shape} and type {values.dtype}"
            assert target.low <= values[0] <= target.high, f"{target.name} is {values[0]}"
        for event in world.events if state["elapsed"][0] else ():
            is_so = event.of(world.params(), earlier, state)
            fits = is_so.shape == (1,) and is_so.dtype == np.bool_
            assert fits, f"{event.name} is of shape {is_so.shape} and type {is_so.dtype}"
        for told, kept in ((state, before), (earlier, lately)):
            assert told.tobytes() == kept.tobytes(), "telling what it declares changed the state"
        earlier, lately = state, before
    _makes_measures(world, {name: np.array(values) for name, values in counted.items()})


def _makes_measures(world: World, counted: Mapping[str, NDArray[Any]]) -> None:
    """Has the measures that are made of others told of episodes of one step, with and without a reference."""
    for measure, best in itertools.product(world.measures, (None, counted)):
        if measure.of is None:
            continue
        try:
            values = measure.of(Played(counted, world.config, best))
        except Exception as error:
            line = " ".join(str(error).split())
            raise AssertionError(f"measure {measure.name}: {type(error).__name__}: {line}") from error
        fits = values is None or np.ndim(values) == 1 and len(values) <= len(counted["length"])
        assert fits, f"measure {measure.name} is {values!r} of {len(counted['length'])} episodes"


def _masks_hold(case: _Case) -> None:
    """Masks are zeros and ones, and leave an action to take."""
    if case.world.kernels.mask_one is None:
        return
    for env, _, _, terminated, info in case.trajectory(SEED):
        mask = info["action_mask"]
        assert mask.shape == (env.action_space.n,) and mask.dtype == np.int8  # type: ignore[attr-defined]
        assert np.isin(mask, (0, 1)).all(), f"mask {mask}"
        assert terminated or mask.any(), "no action is possible"


def _observing_writes_all_and_changes_nothing(case: _Case) -> None:
    """observe_one and mask_one write all of their row, and nothing to the state."""
    for count, (env, obs, _, _, info) in enumerate(case.trajectory(SEED)):
        before = env.state_hash()
        # The step before wrote over the other byte, so what a kernel leaves out differs.
        _leave_behind_garbage(env, 0x55 if count % 2 else 0xAA)
        assert_same(env.observe(), obs, "observation")
        if "action_mask" in info:
            assert_same(env.action_masks(), info["action_mask"], "mask")
        assert env.state_hash() == before, "observing changed the state"


def _leave_behind_garbage(env: WorldEnv, byte: int) -> None:
    """From now on the arrays that the kernels fill hold this byte before."""
    batch = env._batch
    make = type(batch).outputs

    def outputs(others: Outputs | None = None) -> Outputs:
        out = make(batch, others)
        for array in out:
            array.view(np.uint8).fill(byte)
        return out

    batch.outputs = outputs


def _accepts_its_own_states(case: _Case) -> None:
    """check_state accepts every state that the world comes to."""
    for env, *_ in case.trajectory(SEED):
        try:
            case.world.check_state(env.get_state())
        except ValueError as error:
            raise AssertionError(str(error)) from error


# ---------------------------------------------------------------- a trajectory is a fact


def _deterministic(case: _Case) -> None:
    """The same seed and actions give the same trajectory."""
    for first, second in zip(case.trajectory(SEED), case.trajectory(SEED), strict=True):
        assert_same(first[1:], second[1:], "step")
        assert first[0].state_hash() == second[0].state_hash(), "states differ"


def _resets_leave_nothing(case: _Case) -> None:
    """A record that was used and then reset with a seed equals a new one, byte for byte."""
    fresh, used = case.single(), case.single()
    fresh.reset(seed=SEED + 1)
    for env, *_ in case.trajectory(SEED):
        used.set_state(env.get_state())
        used.reset(seed=SEED + 1)
        assert used.state_hash() == fresh.state_hash(), _differing(used.get_state(), fresh.get_state())


def _draws_by_weights(case: _Case) -> None:
    """Where levels are declared, a reset draws them by their weights, and infos tell which."""
    option, count = case.world.level_option, case.world.num_levels
    if option is None:
        return
    env = case.vector(4)
    for level in {0, count // 2, count - 1}:
        env.weigh_levels(np.arange(count) == level)
        _, info = env.reset(seed=SEED)
        assert (env.state[option] == level).all(), f"{option} {level} has all lots, and another one is drawn"
        assert (info[option] == level).all(), f"infos do not tell the {option}"


def _equals_sync(case: _Case) -> None:
    """The native batch equals gymnasium's SyncVectorEnv of the single environment, bit for bit."""
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        native = case.vector(4, max_episode_steps=_limit(case), autoreset_mode=mode)
        singles = [lambda: TimeLimit(WorldEnv(case.world), _limit(case)) for _ in range(4)]
        sync = SyncVectorEnv(singles, autoreset_mode=mode)
        assert_same(native.reset(seed=SEED), sync.reset(seed=SEED), f"reset in {mode}")
        rng = np.random.default_rng(SEED)
        for step in range(case.steps):
            actions = case.actions(native.action_masks(), rng)
            assert_same(native.step(actions), sync.step(actions), f"step {step} in {mode}")
            if step % 50 == 25:
                chosen = np.array([True, False, True, False])
                seeds = [None, 5, SEED + step, None]
                mine, theirs = {"reset_mask": chosen}, {"reset_mask": chosen}
                after = native.reset(seed=seeds, options=mine), sync.reset(seed=seeds, options=theirs)  # type: ignore[arg-type]
                assert_same(*after, f"reset with a mask after step {step} in {mode}")
        sync.close()


def _any_slot(case: _Case) -> None:
    """An environment's trajectory does not depend on its slot, nor on the number of threads."""
    runs = []
    for num_envs, slot, num_threads in ((7, 5, 1), (7, 5, 3), (1, 0, 1)):
        seeds = SEED + np.arange(num_envs) - slot
        env = case.vector(
            num_envs, max_episode_steps=_limit(case), autoreset_mode="SameStep", num_threads=num_threads
        )
        env._batch.slice_seconds = 0.0  # all threads, however little there is to do
        obs, _ = env.reset(seed=seeds.tolist())
        rngs = [np.random.default_rng(seed) for seed in seeds]
        run = [obs[slot]]
        for _ in range(case.steps):
            masks = env.action_masks()
            actions = [case.actions(masks[i : i + 1], rng)[0] for i, rng in enumerate(rngs)]
            obs, rewards, terminated, truncated, _ = env.step(np.array(actions))
            run += [obs[slot], rewards[slot], terminated[slot], truncated[slot], env.state_hash([slot])[0]]
        env.close()
        runs.append(run)
    assert_same(runs[1], runs[0], "run on 3 threads")
    assert_same(runs[2], runs[0], "run alone")


def _goes_on_from_copies(case: _Case) -> None:
    """A state that was saved, cloned or pickled goes on as the original does."""
    steps = max(2, case.steps // 4)
    original, rng = case.single(), np.random.default_rng(SEED)
    original.reset(seed=SEED)
    for _ in range(3):
        if original.step(case.actions(original.action_masks()[None], rng)[0])[2]:
            original.reset()
    restored, slot = case.single(), case.vector(3, autoreset_mode="NextStep")
    slot.reset(seed=9)
    saved = original.get_state()
    restored.set_state(saved)
    slot.set_state(saved, [1])
    assert saved.tobytes() == slot.get_state([1]).tobytes(), "a restored record has other bytes"
    copies = [original.clone(), deepcopy(original), pickle.loads(pickle.dumps(original)), restored]
    for copy in copies:
        assert_same(copy.observe(), original.observe(), "observation of a copy")
    for _ in range(steps):
        action = case.actions(original.action_masks()[None], rng)[0]
        step = original.step(action)
        for copy in copies:
            assert_same(copy.step(action), step, "step of a copy")
        in_slot = slot.step(np.array([0, action, 0]))
        assert_same(np.asarray(in_slot[0][1]), np.asarray(step[0]), "observation in a slot")
        assert_same(float(in_slot[1][1]), step[1], "reward in a slot")
        if step[2]:
            break
    original.set_state(saved)
    assert original.get_state().tobytes() == saved.tobytes(), "going back changed the state"


def _compiled_equals_python(case: _Case) -> None:
    """The compiled kernels do what their Python text says."""
    world = case.world
    compiled, python = Batch(world, 2), Batch(world, 2, loop=interpreted(world))
    outputs = compiled.outputs(), python.outputs()
    seeds, rng = seed_keys([SEED, SEED + 1]), np.random.default_rng(SEED)
    for batch, out in zip((compiled, python), outputs, strict=True):
        batch.reset(np.full(2, RESET_SEEDED), seeds, world.reset_fields({}), out)
    for step in range(max(2, case.steps // 5)):
        masks = outputs[0].mask if compiled.has_mask else np.ones((2, compiled.num_actions))
        actions = case.actions(masks, rng)
        for batch, out in zip((compiled, python), outputs, strict=True):
            batch.step(actions, SAME_STEP, _limit(case), out)
        assert_same(*outputs, f"step {step}")
        states = compiled.get_state(), python.get_state()
        assert states[0].tobytes() == states[1].tobytes(), f"step {step}: {_differing(*states)}"


def _renders(case: _Case) -> None:
    """Pictures are (height, width, 3) uint8 of one size, and drawing changes nothing."""
    if not case.is_drawn:
        return
    env = case.single("rgb_array")
    env.reset(seed=SEED)
    first, before = env.render(), env.state_hash()
    assert isinstance(first, np.ndarray) and first.dtype == np.uint8 and first.ndim == 3, "no picture"
    assert first.shape[2] == 3, f"shape {first.shape}"
    env.render()
    assert env.state_hash() == before, "drawing changed the state"
    env.step(case.actions(env.action_masks()[None], np.random.default_rng(SEED))[0])
    second = env.render()
    assert second is not None and second.shape == first.shape, "the size changed"
    _draws_what_it_says(case.world, env, first.shape)
    env.close()


def _draws_what_it_says(world: World, env: WorldEnv, shape: tuple[int, ...]) -> None:
    renderer, state = world.renderer(), env.get_state()
    assert isinstance(renderer, Renderer), f"{type(renderer).__name__} must inherit meze.envs.core.Renderer"
    assert 0 <= renderer.panel_width < shape[1], f"a panel of {renderer.panel_width} pixels of {shape[1]}"
    further = {"cursor": 0, "values": np.zeros(world.action_space.n), "ghosts": (0,), "marks": None}  # type: ignore[attr-defined]
    unknown = sorted(set(renderer.draws) - set(further))
    assert not unknown, f"nobody knows what to draw as {unknown[0]}"
    between = renderer.between(state, state, 0.5)
    assert between.dtype == state.dtype, f"between two steps records are {between.dtype}"
    drawn: Any = {name: further[name] for name in renderer.draws}
    assert renderer.draw(between, 0, phase=0.5, **drawn).shape == shape, f"the size changed with {drawn}"
    if "cursor" in drawn:
        spots = renderer.spots(state, 0)
        assert spots.shape == (env.action_masks().size, 2), f"spots of shape {spots.shape}"


CHECKS: tuple[Callable[[_Case], None], ...] = (
    _has_the_parts,
    _observing_writes_all_and_changes_nothing,  # what is left unwritten differs by chance in all that follows
    _gymnasium_accepts,
    _spaces_hold,
    _parts_add_up,
    _declares_what_it_tells,
    _actions_have_names,
    _masks_hold,
    _accepts_its_own_states,
    _deterministic,
    _resets_leave_nothing,
    _draws_by_weights,
    _equals_sync,
    _any_slot,
    _goes_on_from_copies,
    _compiled_equals_python,
    _renders,
)


# ---------------------------------------------------------------- comparison


def _limit(case: _Case) -> int:
    """Steps to truncate after, few enough that the rollout meets several."""
    return max(3, case.steps // 7)


def _differing(one: NDArray[Any], other: NDArray[Any]) -> str:
    names = one.dtype.names or ()
    fields = [name for name in names if one[name].tobytes() != other[name].tobytes()]
    return f"fields {fields or 'none; bytes between them'} differ"
