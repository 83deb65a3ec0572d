"""What sets the runs of one kind of agent apart from those of others, and what each may be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from ...agents.registry import AgentSpec
from ...agents.registry import Kind as KindName
from ...checking import at_least, load_object
from .resolve import Vectorization
from .seeds import MOST_EPISODES, range_of

MOST_ENVS = 1 << 20
"""Environments side by side, at most."""
MOST_ISLANDS = 1024
"""Populations that evolve apart, at most."""
MANY = 10**9
"""Generations that no run reaches."""

Device: TypeAlias = Literal["auto", "cpu", "cuda"]

# --- What may change when a run goes on ----------------------------------------------------------------


@dataclass(frozen=True)
class ResumeSettings:
    """What may change when a run goes on."""

    steps: int
    """Transitions to learn from in all."""
    num_threads: int
    """Threads that step the environments (the project's own worlds only)."""
    vectorization: Vectorization
    """Whether environments of others step one after another, or `async`, in processes of their own."""


@dataclass(frozen=True)
class ResumeDeepSettings(ResumeSettings):
    """What may change when a run goes on that computes with torch."""

    device: Device
    """Where the networks compute; `auto` measures."""


@dataclass(frozen=True)
class ResumeSearchSettings:
    """What may change when a search goes on."""

    generations: int
    """Generations to evaluate in all."""
    num_threads: int
    """Threads that step the environments (the project's own worlds only)."""
    vectorization: Vectorization
    """Whether environments of others step one after another, or `async`, in processes of their own."""


# --- What a run may be asked for ------------------------------------------------------------------------


class RunSettings:
    """What the settings of all runs have, whoever is trained."""

    resume: ClassVar[type]
    """What of them may change when a run goes on, as a dataclass without defaults."""
    device: ClassVar[Device] = "cpu"
    """Where the networks compute, if there are any."""
    torch_threads: ClassVar[int | None] = None
    """Threads of torch on the CPU; None: the agent does not compute with it."""
    num_envs: ClassVar[int] = 1
    """Rows of the batches that the agent learns from; a searcher is asked for its own number."""

    def within(self, steps: int) -> dict[str, int]:
        """The settings that end a run after so many transitions."""
        raise NotImplementedError


@dataclass(frozen=True)
class TrainSettings(RunSettings):
    """How long and on how much a learner is trained."""

    resume = ResumeSettings

    steps: int = 1_000_000
    """Transitions to learn from, all environments together."""
    num_envs: int = 64
    """Environments that run side by side."""
    num_threads: int = 1
    """Threads that step the environments (the project's own worlds only)."""
    vectorization: Vectorization = "sync"
    """Environments of others step one after another, or `async`: each in a process of its own, which pays
    where a step takes long."""
    seed: int = 0
    """Seed of the learner, and of the environments, whose own seeds are drawn from it."""
    eval_every: int | None = None
    """Transitions between two evaluations; by default a tenth of all."""
    eval_episodes: int = 256
    """Episodes of each evaluation."""
    checkpoint_every: int | None = None
    """Transitions between two checkpoints; by default a tenth of all."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; by default the environment's own limit, or 1000."""
    curriculum: Literal["uniform", "ramp", "plr"] = "uniform"
    """Which levels (maps, mazes, ...) it meets: all alike; or `ramp`, the easiest first, and all of them from
    half of the run on; or `plr`, rather those in which it was wrong of late (Jiang et al. 2021)."""
    weights: str | None = None
    """What costs count, beside the reward, that the world tells apart: `harm_outside=10,harm_aboard=3`."""
    constraint: str | None = None
    """What an episode may cost at most, in the mean: `harm_outside<=0.01`. What it takes is learned: a
    multiplier weighs the cost, and of the checkpoints at most two are mixed, episode by episode."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "steps", "num_envs", "num_threads", "eval_episodes")
        at_least(self, 1, "eval_every", "checkpoint_every", "max_episode_steps")
        if self.num_envs > MOST_ENVS:
            raise ValueError(f"num_envs must be at most {MOST_ENVS:,}; got {self.num_envs:,}")
        _check_seeds(self)

    def within(self, steps: int) -> dict[str, int]:
        """The settings that end a run after so many transitions."""
        return {"steps": steps}


@dataclass(frozen=True)
class DeepSettings(TrainSettings):
    """How a learner is trained that computes with torch."""

    resume = ResumeDeepSettings

    device: Device = "auto"
    """Where the networks compute; `auto` measures both for about a second, where there is CUDA. In the run's
    config.json stands the one it took."""
    torch_threads: int = 1
    """Threads of torch on the CPU; small networks are slower with more. A run goes on exactly where it stood
    with the same number."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "torch_threads")


@dataclass(frozen=True)
class ImitationSettings(TrainSettings):
    """By how much of a teacher's doing an imitator is taught, and whose."""

    steps: int = 50_000
    """Transitions to learn from, all environments together."""
    teacher: str | None = None
    """Who is imitated: a reference of the world, by default its `expert`, a run's folder, or
    `pretrained:NAME`."""

    def within(self, steps: int) -> dict[str, int]:
        """No more transitions than without a limit: more of the same teaches an imitator no more."""
        return {"steps": min(steps, self.steps)}


@dataclass(frozen=True)
class SearchSettings(RunSettings):
    """How long a population is evolved, and by what it is judged."""

    resume = ResumeSearchSettings

    generations: int = 100
    """Generations to evaluate."""
    max_steps: int | None = None
    """Transitions after which no further generation begins; by default only generations are counted. With it
    the best genome is also evaluated after each tenth of them."""
    episodes: int = 3
    """Episodes of each genome in a generation. Their seeds are the same for all genomes, and new in each
    generation; a genome's fitness is its mean return."""
    num_threads: int = 1
    """Threads that step the environments (the project's own worlds only)."""
    vectorization: Vectorization = "sync"
    """Environments of others step one after another, or `async`: each in a process of its own, which pays
    where a step takes long."""
    seed: int = 0
    """Seed of the search and of its episodes."""
    eval_every: int | None = None
    """Generations between two evaluations of the best genome; by default a tenth of all."""
    eval_episodes: int = 256
    """Episodes of each evaluation."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; by default the environment's own limit, or 1000."""
    curriculum: Literal["uniform", "ramp"] = "uniform"
    """Which levels (maps, mazes, ...) it meets: all alike; or `ramp`, the easiest first, and all of them from
    half of the search on."""
    islands: int = 1
    """Populations that evolve apart, each as large as the agent's settings say, and send their best along a
    ring. What comes of them is the same with any number of jobs."""
    migrate_every: int = 10
    """Generations after which the best of an island joins the next one."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "generations", "episodes", "num_threads", "eval_episodes")
        at_least(self, 1, "max_steps", "eval_every", "max_episode_steps", "islands", "migrate_every")
        if self.islands > MOST_ISLANDS:
            raise ValueError(f"islands must be at most {MOST_ISLANDS:,}; got {self.islands:,}")
        _check_seeds(self)

    def within(self, steps: int) -> dict[str, int]:
        """The settings that end a search after so many transitions, with the generation under way."""
        return {"generations": MANY, "max_steps": steps}


def _check_seeds(settings: TrainSettings | SearchSettings) -> None:
    range_of(settings.seed)
    if settings.eval_episodes > MOST_EPISODES:
        raise ValueError(f"eval_episodes must be at most {MOST_EPISODES:,}; got {settings.eval_episodes:,}")


# --- Kinds ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """How agents of one kind are trained.

    Classes that know this table are named here as `module:Class` of the room `run`, and load when asked for.
    """

    run: str
    """A run: environment, agent, and where they stand; see `base.Run`."""
    settings: type[RunSettings]
    """What a run may be asked for."""
    on_device: type[RunSettings] | None = None
    """The same of an agent that computes with torch; None: no more than others."""
    length: Literal["steps", "generations"] = "steps"
    """The setting that says how long it is trained, which is what its checkpoints are counted in."""
    rollout: str | None = None
    """The stream of transitions that it learns from one after another; None: it learns otherwise."""
    apart: str | None = None
    """The run of several populations that evolve apart; None: there is none."""
    variant: str | None = None
    """The agent's setting that stands behind the colon of its name in a tournament; None: an encoder does."""

    def run_class(self, islands: int = 1) -> type:
        """Loads the class of its runs, or of those on so many islands."""
        return load_object(f"..run.{self.run if islands == 1 else self.apart}", __package__)

    def rollout_class(self) -> type:
        """Loads the class of its stream of transitions."""
        assert self.rollout is not None, f"{self.run} has no stream to learn from"
        return load_object(f"..run.{self.rollout}", __package__)


KINDS: dict[KindName, Kind] = {
    "learner": Kind("training:Training", TrainSettings, DeepSettings, rollout="rollout:Rollout"),
    "trainer": Kind("training:Training", TrainSettings, DeepSettings, rollout="rollout:TrainerRollout"),
    "searcher": Kind("search:Search", SearchSettings, length="generations", apart="islands:Islands"),
    "imitator": Kind("imitate:Imitation", ImitationSettings, variant="classifier"),
}
"""All kinds of agents that are trained. What the agents themselves have is in `agents.registry.KINDS`."""


def settings_class(agent: AgentSpec) -> type[RunSettings]:
    """The class of the settings with which an agent is trained."""
    kind = KINDS[agent.kind]
    return agent.on_device and kind.on_device or kind.settings
