"""The conformance checks: the toy world passes, and each check has a broken world that trips it."""

from dataclasses import dataclass

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from meze.envs.core.conformance import check_world
from meze.envs.core.measures import Event, Measure, Target
from meze.envs.core.rng import next_u64
from meze.envs.core.world import Renderer, World, check_ranges, make_world
from numba import njit
from toy_world import LENGTH, Corridor, CorridorConfig, CorridorParams, CorridorRenderer

reset_one, step_one, observe_index, mask_one = Corridor.kernels


@pytest.mark.parametrize("observation", ["index", "strip"])
def test_the_corridor_conforms(observation):
    assert isinstance(Corridor(CorridorConfig()), World)
    check_world(Corridor, steps=60, observation=observation)


# ---------------------------------------------------------------- broken kernels


def forgetful_reset(p, s, i):
    moved = s[i].info.moved
    reset_one(p, s, i)
    s[i].info.moved = moved


def leaking_step(p, s, i, action):
    s[0].cell = s[i].cell
    return step_one(p, s, i, action)


def drawing_observe(p, s, i, obs):
    next_u64(s[i].rng)
    obs[i] = s[i].cell


def partial_observe(p, s, i, obs):
    obs[i, s[i].cell] = 255


def far_observe(p, s, i, obs):
    obs[i] = s[i].cell + s[i].cell // 7


def empty_mask(p, s, i, mask):
    for action in range(3):
        mask[i, action] = 0


def odd_mask(p, s, i, mask):
    for action in range(3):
        mask[i, action] = 2


def unaccounted_step(p, s, i, action):
    units, over = step_one(p, s, i, action)
    return units + 1, over


def slot_step(p, s, i, action):
    units, over = step_one(p, s, i, action)
    s[i].parts.time += i
    return units + i, over


def wrapping_step(p, s, i, action):
    s[i].info.bumps += np.uint8(250) + np.uint8(10)  # 260 when compiled, 4 in numpy
    return step_one(p, s, i, action)


class Broken(Corridor):
    """Gets a broken kernel."""


@pytest.mark.parametrize(
    ("kernel", "text", "promise"),
    [
        ("reset_one", forgetful_reset, "used and then reset"),
        ("step_one", leaking_step, "SyncVectorEnv"),
        ("step_one", slot_step, "SyncVectorEnv"),
        ("step_one", unaccounted_step, "sum of its parts"),
        ("step_one", wrapping_step, "Python text"),
        ("observe_one", drawing_observe, "nothing to the state"),
        ("observe_one", partial_observe, "write all of their row"),
        ("observe_one", far_observe, "Observations lie in the space"),
        ("mask_one", empty_mask, "leave an action"),
        ("mask_one", odd_mask, "zeros and ones"),
    ],
)
def test_a_broken_kernel_is_found(kernel, text, promise, monkeypatch):
    kernels = Corridor.kernels._replace(**{kernel: njit(text)})
    monkeypatch.setattr(Broken, "kernels", kernels)
    monkeypatch.setattr(Broken, "strip", kernels.observe_one)
    with pytest.raises(AssertionError, match=promise):
        check_world(Broken, steps=60, observation="strip" if text is partial_observe else "index")


# ---------------------------------------------------------------- broken worlds


class Chancy(Corridor):
    """Each world that is made has other tables."""

    made = 0

    def __init__(self, config: CorridorConfig) -> None:
        super().__init__(config)
        Chancy.made += 1
        self._params = self._params._replace(slip=Chancy.made * 100 % 1024)


class WritableTables(Corridor):
    def __init__(self, config: CorridorConfig) -> None:
        super().__init__(config)
        self._params = self._params._replace(bonus=self._params.bonus.copy())


class SmallSpace(Corridor):
    def __init__(self, config: CorridorConfig) -> None:
        super().__init__(config)
        self.observation_space = Discrete(3)


class Forgetful(Corridor):
    """Its config does not tell all: a pickle of it becomes another world."""

    def __init__(self, config: CorridorConfig) -> None:
        super().__init__(config)
        self.config = CorridorConfig(slip=1023 - config.slip)


class Suspicious(Corridor):
    """Refuses the end of its own episodes."""

    def check_state(self, state):
        check_ranges(state, {"cell": (0, LENGTH - 2)})


class Unreported(Corridor):
    """Measures what its infos do not tell."""

    measures = (Measure("moved", "sum"), Measure("speed", "mean"))


class Misspelt(Corridor):
    """Makes a measure of what nobody counts."""

    measures = (Measure("hope", "max"), Measure("despair", of=lambda played: 1 - played.counted["hop"]))


class Alone(Corridor):
    """Measures by a reference, and forgets that there may be none."""

    measures = (Measure("hope", "max"), Measure("despair", of=lambda played: 1 - played.best["hope"]))


class Numberless(Corridor):
    """One number is told of all episodes together."""

    measures = (Measure("hope", "max", of=lambda played: played.counted["hope"].mean()),)


class Twice(Corridor):
    measures = (Measure("hope", "max"), Measure("hope", "sum"))


class Taken(Corridor):
    measures = (Measure("seconds", "sum", of=lambda played: None),)


class Unbounded(Corridor):
    """Tells more of its states than it says."""

    targets = (Target("place", "where it is", lambda p, s: s["cell"].astype(np.float32), 0, 3),)


def counted(params, before, after):
    return after["cell"] - before["cell"]


def forgetting(params, before, after):
    before["cell"] = after["cell"]
    return before["cell"] > 0


class Counted(Corridor):
    """Tells how far it went, in place of whether."""

    events = (Event("moved", "it moves", counted),)


class Meddling(Corridor):
    """Writes where it should look."""

    events = (Event("inside", "it is inside", forgetting),)


class Homonym(Corridor):
    """Has one name for two things."""

    targets = (Target("place", "where it is", lambda p, s: s["cell"].astype(np.float32)),)
    events = (Event("place", "it is there", lambda params, before, after: after["cell"] > 0),)


class GrowingPicture(Corridor):
    def renderer(self):
        class Growing(Renderer):
            def draw(self, state, i=0, *, phase=1.0, hud=None):
                return np.zeros((8, 8 + int(state["elapsed"][i]), 3), np.uint8)

        return Growing()


class HalfNamed(Corridor):
    action_names = ("stay", "left")


class FarButton(Corridor):
    buttons = ("go",)

    def action_of(self, buttons):
        return 3 * len(buttons)


@dataclass
class LooseConfig:
    slip: int = 256


class Loose(Corridor):
    def __init__(self, config: LooseConfig) -> None:
        super().__init__(CorridorConfig(slip=config.slip))
        self.config = config


@pytest.mark.parametrize(
    ("world", "promise"),
    [
        (Loose, "frozen"),
        (WritableTables, "read-only params"),
        (SmallSpace, "check_env"),
        (Chancy, "same seed and actions"),
        (Suspicious, "accepts every state"),
        (Unreported, "infos have no speed"),
        (Misspelt, "measure despair: KeyError: 'hop'$"),
        (Alone, "measure despair: TypeError: 'NoneType' object is not subscriptable$"),
        (Numberless, r"measure hope is .* of \d+ episodes"),
        (Twice, "declares a measure twice: hope, hope"),
        (Taken, "can't declare a measure seconds: the name is taken"),
        (Unbounded, "place is "),
        (Counted, r"moved is of shape \(1,\) and type int32"),
        (Meddling, "telling what it declares changed the state"),
        (Homonym, "one of place, place is declared twice"),
        (Forgetful, "cloned or pickled"),
        (GrowingPicture, "Pictures"),
        (HalfNamed, "2 names of 3 actions"),
        (FarButton, "holding go is action 3 of 3"),
    ],
)
def test_a_broken_world_is_found(world, promise):
    with pytest.raises(AssertionError, match=promise):
        check_world(world, steps=60)


class Drawn(Corridor):
    """Gets a renderer."""

    drawing: type = CorridorRenderer

    def renderer(self):
        return self.drawing()


def draw_cursor(self, state, i=0, *, phase=1.0, hud=None, cursor=None):
    return CorridorRenderer.draw(self, state, i)


@pytest.mark.parametrize(
    ("inherited", "parts", "promise"),
    [
        (object, {"draw": CorridorRenderer.draw}, "Odd must inherit meze.envs.core.Renderer"),
        (CorridorRenderer, {"draws": ("sparks",)}, "nobody knows what to draw as sparks"),
        (CorridorRenderer, {"panel_width": 64}, "a panel of 64 pixels of 64"),
        (
            CorridorRenderer,
            {"between": lambda self, before, after, phase: after["cell"]},
            "between two steps",
        ),
        (
            CorridorRenderer,
            {"draws": ["cursor"], "draw": draw_cursor, "spots": lambda self, state, i: np.zeros((2, 2))},
            "spots of shape",
        ),
    ],
)
def test_a_broken_renderer_is_found(inherited, parts, promise, monkeypatch):
    monkeypatch.setattr(Drawn, "drawing", type("Odd", (inherited,), parts))
    with pytest.raises(AssertionError, match=promise):
        check_world(Drawn, steps=60)


# ---------------------------------------------------------------- what is inherited


class Least(World):
    """Says what every world must, and nothing else."""

    kernels = Corridor.kernels
    state_dtype = Corridor.state_dtype
    action_space, observation_space = Discrete(3), Discrete(LENGTH)

    def __init__(self, config: CorridorConfig) -> None:
        self.config = config
        self._params = Corridor(config).params()

    def params(self) -> CorridorParams:
        return self._params


def test_what_a_world_does_not_say_has_a_default():
    check_world(Least, steps=60)
    world = Least(CorridorConfig())
    assert not world.references() and not world.describe(0) and world.segments(0) is None
    assert not list(world.sights("random", np.zeros(1, world.state_dtype)))
    with pytest.raises(ValueError, match="Least takes no reset options, got start"):
        world.reset_fields({"start": 1})
    with pytest.raises(ValueError, match="Least can't be drawn"):
        world.renderer()


def test_what_a_world_must_say_is_asked_for():
    class Wordless(Least):
        def __init__(self, config: CorridorConfig) -> None:
            super().__init__(config)
            del self.config

    with pytest.raises(AssertionError, match="it has no config"):
        check_world(Wordless, steps=60)

    class Tableless(World):
        def __init__(self, config: CorridorConfig) -> None:
            self.config = config

    with pytest.raises(TypeError, match="Tableless has neither params"):
        make_world(Tableless, {}).params()


def test_a_world_says_of_which_class_its_config_is():
    class Silent(Corridor):
        def __init__(self, config=None) -> None:
            super().__init__(config or CorridorConfig())

    class Vague(Corridor):
        def __init__(self, config: dict | None = None) -> None:
            super().__init__(CorridorConfig())

    for world in (Silent, Vague):
        for ask in (lambda world=world: make_world(world, {}), lambda world=world: check_world(world)):
            with pytest.raises(
                TypeError, match=rf"^{world.__name__}.__init__\(\) must annotate its config, with"
            ):
                ask()


@pytest.mark.parametrize(
    "world", [CorridorConfig, "toy_world:CorridorRenderer", "toy_world:LENGTH", object()]
)
def test_what_inherits_no_world_is_refused(world):
    with pytest.raises(TypeError, match="must inherit meze.envs.core.World"):
        make_world(world, {})
