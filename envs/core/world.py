"""What a world is: its state record, its scalar kernels and the small class that names them.

A world's author writes a config, a state record and a few scalar functions. Everything else (the
`gymnasium.Env`, the native batch, save and restore, hashes, masks, replays) is made from these by the
other modules of `meze.envs.core`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias, get_args, get_type_hints

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import ArrayLike, NDArray

from ...checking import did_you_mean, load_object, unknown
from .measures import Cost, Event, Measure, Target
from .settings import settle

REWARD_SCALE = 1024
"""Rewards are integers in units of 1/1024 until the batch loop divides, so that sums are exact."""

# Every state record begins with these fields; the batch loop owns `elapsed` and `done`.
CORE_FIELDS: tuple[tuple, ...] = (
    ("rng", np.uint64, (2,)),  # key of the random stream, number of draws taken from it
    ("elapsed", np.int32),  # steps since the episode began
    ("done", np.bool_),  # the episode is over and awaits its reset
)


def state_dtype(
    fields: Sequence[tuple], info: Sequence[tuple] = (), parts: Sequence[str] = ()
) -> np.dtype[Any]:
    """Builds a world's state record.

    Args:
        fields: the world's own fields, as numpy field tuples. Unused slots must hold a fixed value, so
            that equal states are equal bytes.
        info: fields of the nested record `info`, scalars which every step reports as they stand.
        parts: names of the nested record `parts`, int32 in 1/1024: the summands of the step's reward.
            They are reported divided, as `reward_<name>`, and sum to the reward exactly.

    Returns:
        An aligned structured dtype; one record is one environment's whole state.
    """
    nested: list[tuple] = []
    if info:
        nested.append(("info", np.dtype(list(info), align=True)))
    if parts:
        nested.append(("parts", np.dtype([(name, np.int32) for name in parts], align=True)))
    return np.dtype([*CORE_FIELDS, *nested, *fields], align=True)


def check_ranges(state: NDArray[Any], ranges: Mapping[str, float | tuple[float, float]]) -> None:
    """Checks fields of state records, for a world's `check_state`.

    Args:
        state: (N,) records, N at least 1.
        ranges: field name to the least and the greatest value that it may hold, or to the latter alone where
            the former is 0.

    Raises:
        ValueError: one line that names the field, the value and the range.
    """
    for name, limits in ranges.items():
        (low, high), values = limits if isinstance(limits, tuple) else (0, limits), state[name]
        least, greatest = values.min(), values.max()
        if not (low <= least and greatest <= high):
            wrong = greatest if low <= least else least
            raise ValueError(f"no state of this world: {name} is {wrong}, and must lie in {low} .. {high}")


def refuse_if(wrong: ArrayLike, problem: str) -> None:
    """Refuses state records in which anything is wrong, for a world's `check_state`.

    Args:
        wrong: whether it is, of any shape.
        problem: what it is, in words that name the field.

    Raises:
        ValueError: one line, if any is True.
    """
    if np.any(wrong):
        raise ValueError(f"no state of this world: {problem}")


class Kernels(NamedTuple):
    """The scalar functions of a world, each compiled with `numba.njit`.

    `params` is the world's read-only NamedTuple, `state` the batch of records, `i` the environment.
    """

    reset_one: Callable[..., Any]
    """`(params, state, i) -> None`: begins an episode, drawing from the record's own stream. It leaves
    nothing of the episode before: a used and a new record with the same stream become equal bytes."""
    step_one: Callable[..., Any]
    """`(params, state, i, action) -> (int64, bool)`: reward in 1/1024, terminated. `elapsed` already counts
    this step."""
    observe_one: Callable[..., Any]
    """`(params, state, i, obs) -> None`: writes all of `obs[i]`, and nothing to the state."""
    mask_one: Callable[..., Any] | None = None
    """`(params, state, i, mask) -> None`: writes `mask[i]`, uint8, 1 where the action is possible."""


Sight: TypeAlias = tuple[NDArray[Any], Sequence[NDArray[Any] | None]]
"""What is to be seen of a search at one time: (N,) records, and for each of them what the renderer marks."""


class Renderer(ABC):
    """Draws one environment of a batch; what it can do beyond `draw` has defaults here."""

    panel_width: int = 0
    """Pixels at the picture's right that are a panel of text. Of several environments the pictures are then
    shown without it, with one panel for all."""
    draws: Collection[str] = ()
    """Which further arguments `draw` takes, by name, each with a default:

    - `cursor`: the action that is pointed at, or None. Then the world is played by mouse, and `spots` tells
      where its actions are.
    - `values`: (A,) the agent's action values, NaN where it has none, to be drawn where they act; or None.
    - `ghosts`: numbers of further environments that are drawn into the same picture.
    - `marks`: what the world's `sights` want marked, or None.
    """

    @abstractmethod
    def draw(
        self, state: NDArray[Any], i: int = 0, *, phase: float = 1.0, hud: Mapping[str, str] | None = None
    ) -> NDArray[np.uint8]:
        """Draws environment `i`.

        Args:
            state: batch of state records.
            i: which of them.
            phase: how far the last step has been shown, from 0 (the state before it) to 1.
            hud: further lines for the panel, label to text (return, action, action values).

        Returns:
            (height, width, 3) uint8 picture.
        """

    def between(self, before: NDArray[Any], after: NDArray[Any], phase: float) -> NDArray[Any]:
        """(N,) states to be drawn on the way from one step's to the next's; by default the latter."""
        return after

    def spots(self, state: NDArray[Any], i: int = 0) -> NDArray[np.float64]:
        """(A, 2) pixels of the picture where each action acts, x and y, NaN where it can't."""
        raise NotImplementedError("a renderer that draws the cursor tells where the actions are")


class World(ABC):
    """A world: the kernels, the spaces and the tables, for one config. Worlds inherit it.

    Up to `__init__` each of them has to say what it is, and there its params; the rest has defaults.
    """

    config: Any
    """Frozen dataclass, checked on construction; its fields are the keyword arguments of `make`."""
    kernels: Kernels
    state_dtype: np.dtype[Any]
    observation_space: Space
    action_space: Space

    @abstractmethod
    def __init__(self, config: Any) -> None:
        """Makes the world of one config; the annotation of `config` names its dataclass."""

    _params: Any = None

    def params(self) -> Any:
        """Read-only tables and scalars that the whole batch shares, a NamedTuple (built once, then kept).

        By default what the world has as `_params`.
        """
        if self._params is None:
            raise TypeError(f"{type(self).__name__} has neither params() nor _params, which that gives")
        return self._params

    def take(self, kernels: Any, mode: str, **modes: Space | int | tuple[int, ...]) -> None:
        """Takes kernels by their usual names, and makes the spaces: an action for each of `action_names`.

        Args:
            kernels: the module of `reset_one`, `step_one`, `observe_<mode>` and maybe `mask_one`.
            mode: the observation that is wanted.
            **modes: what each is: a space, a number below this one, or uint8 planes of this shape.
        """
        space = modes[mode]
        if not isinstance(space, Space):
            space = Discrete(space) if isinstance(space, int) else Box(0, 255, space, np.uint8)
        self.observation_space, self.action_space = space, Discrete(len(self.action_names))
        observe_one, mask_one = getattr(kernels, f"observe_{mode}"), getattr(kernels, "mask_one", None)
        self.kernels = Kernels(kernels.reset_one, kernels.step_one, observe_one, mask_one)

    reset_choices: Mapping[str, int] = {}
    """Reset options that are numbers from 0, each with how many there are. In `reset_one` the record's field
    `ask_<name>` is one more than what was chosen, or 0, which chooses nothing. Where the record has a field
    `<name>` too, that is what was drawn, and infos tell it."""
    level_option: ClassVar[str | None] = None
    """Which of `reset_choices` is the level (map, maze, ...). Where none is chosen, `reset_one` takes
    `lots.draw_lot(rng, params.lots)`; the record keeps it by this name. None: there are no levels."""

    @property
    def num_levels(self) -> int:
        """How many levels there are; 0 where there are none."""
        return self.reset_choices[self.level_option] if self.level_option else 0

    def hardness(self) -> NDArray[np.float64] | None:
        """(M,) numbers that rise with how hard its levels are; by default None: it can't say."""
        return None

    def reset_fields(self, options: Mapping[str, Any]) -> dict[str, ArrayLike]:
        """Translates reset options into record fields that `reset_one` honours; by default `reset_choices`.

        It is asked at every explicit reset, with no options too; an autoreset does not ask. So that an option
        holds for one episode, `reset_one` puts the field's default back once it has read it.

        Args:
            options: what the caller gave to `reset(options=...)`, without `reset_mask`: scalars or (N,)
                arrays; may be empty.

        Returns:
            Field name to a scalar or (num_envs,) array, written into the records before `reset_one`.

        Raises:
            ValueError: one line that names an unknown option, or one whose value is out of range.
        """
        if options and not self.reset_choices:
            raise ValueError(f"{type(self).__name__} takes no reset options, got {', '.join(options)}")
        fields: dict[str, ArrayLike] = {}
        for name, value in options.items():
            if name not in self.reset_choices:
                raise ValueError(unknown("reset option", name, self.reset_choices))
            numbers, last = np.asarray(value), self.reset_choices[name] - 1
            if not np.issubdtype(numbers.dtype, np.integer) or np.any((numbers < 0) | (numbers > last)):
                raise ValueError(f"option {name!r} takes integers from 0 to {last}, got {value!r}")
            fields["ask_" + name] = numbers + 1
        return fields

    def check_state(self, state: NDArray[Any]) -> None:  # noqa: B027, not every kernel trusts a number
        """Refuses records with which a kernel could leave its tables: they may come from a stranger's file.

        A world needs it whose kernels trust numbers of the record, such as indices: they check no bounds
        themselves. Every state that the world can come to passes, ends of episodes included. The core's
        fields, and records that were never reset, are checked by the batch.

        Args:
            state: (N,) records of the world's dtype, N at least 1.

        Raises:
            ValueError: one line that names the field (see `check_ranges`).
        """

    # What stands beside a score: who knows the true state.

    def references(self) -> Mapping[str, Callable[[Any, NDArray[Any]], NDArray[Any]]]:
        """Named reference policies `(params, state) -> (N,) actions` that read the true state."""
        return {}

    def sights(self, name: str, state: NDArray[Any]) -> Iterator[Sight]:
        """Shows how a policy searches from some states, before its first step; by default nothing.

        Args:
            name: the policy's, which need not be one of `references`.
            state: (N,) records.
        """
        return iter(())

    # For those who measure and predict.

    measures: ClassVar[Sequence[Measure]] = ()
    """What its episodes are measured by, in the order of tables: fields of its infos, or made of them. Return
    and length need not be named, nor `success` and `cost` where the infos have them."""
    costs: ClassVar[Sequence[Cost]] = ()
    """What it tells apart in its infos, for those who say what it counts (`--weights`)."""

    def least_costs(self, weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """What an episode of the policy costs, to be expected, that costs least; exactly.

        Args:
            weights: (K,) what each of `costs` counts.

        Returns:
            (K,) costs; by default None: the world can't be solved.
        """
        return None

    targets: ClassVar[Sequence[Target]] = ()
    """What can be told of its states that encoders may learn to predict."""
    events: ClassVar[Sequence[Event]] = ()
    """What may be so before a step, or happen in it, that recordings keep."""

    # For those who look on.

    render_fps: int = 4
    """Steps a second at which it is shown, and at which it goes on by itself where it does."""
    action_names: Sequence[str] = ()
    """A name for each action."""
    observation_names: Sequence[str] = ()
    """A name for each plane of an observation of planes, or each column of a table."""

    def renderer(self) -> Renderer:
        """The world's renderer (imports pygame only now)."""
        raise ValueError(f"{type(self).__name__} can't be drawn: it has no renderer")

    def describe(self, observation: int) -> list[str]:
        """An observation that is a number in words, a few of them each."""
        return []

    # For those who play.

    play_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of `meze play`, by flag."""
    buttons: Sequence[str] = ()
    """Names of buttons. With these the world goes on by itself while it is played."""

    def action_of(self, buttons: Collection[str]) -> int:
        """The action of those buttons that are held."""
        raise NotImplementedError("a world with buttons tells which action they are")

    # For those who predict traffic.

    def segments(self, number: int) -> Any:
        """The pieces of street of a map of the pool, as `city.jams.Segments`; None: there are no streets."""
        return None


def load_world(world: str | type[World]) -> type[World]:
    """A world's class, or the one that is at `package.module:Class`.

    Raises:
        TypeError: when it is no world's.
    """
    found = load_object(world)
    if not (isinstance(found, type) and issubclass(found, World)):
        raise TypeError(f"{getattr(found, '__name__', found)} must inherit meze.envs.core.World")
    return found


def make_world(world: str | type[World] | World, settings: Mapping[str, Any]) -> World:
    """Makes a world of keyword arguments.

    Args:
        world: the world's class, or where it is, as `package.module:Class`; or a world that is made already,
            whose tables are then shared.
        settings: fields of the world's config by name; the others have their defaults.

    Raises:
        TypeError: for a setting that the config does not have; it names the nearest one, if one is near. Also
            for what is no world, or does not say of which class its config is.
        ValueError: for a value that does not fit the field's type hint (see `settings.settled`), or from the
            config, for one that it does not allow.
    """
    if isinstance(world, World):
        if settings:
            raise TypeError("a world that is made already takes no settings")
        return world
    world_class = load_world(world)
    hint = get_type_hints(world_class.__init__).get("config")
    kinds = [kind for kind in get_args(hint) or (hint,) if dataclasses.is_dataclass(kind)]
    if not kinds:
        raise TypeError(f"{world_class.__name__}.__init__() must annotate its config, with a dataclass")
    config_class: Any = kinds[0]
    known = [field.name for field in dataclasses.fields(config_class) if field.init]
    for name in settings:
        if name not in known:
            # Python's own words: libraries look for them, and leave out what a world does not take.
            problem = f"{world_class.__name__}.__init__() got an unexpected keyword argument {name!r}"
            raise TypeError(problem + did_you_mean(name, known))
    return world_class(config_class(**settle(config_class, settings)))
