"""stable-baselines3's PPO, A2C and DQN, trained, evaluated and saved like the project's own agents.

The algorithms are the library's: PPO (Schulman et al. 2017), A2C (Mnih et al. 2016), DQN (Mnih et al. 2015).
They own their loop, so each is a `Trainer`: it is given environments and steps them itself. Its network
begins with the project's `Torso`; schedules count transitions, as everywhere else, not shares of a run.

None of the three knows masks. In training an impossible action is what the environment makes of it; `act`
chooses among the possible ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from .base import Memory, NonFiniteLossError, State, fitting
from .checks import restore_generator
from .deep import find_device, load_module, to_array
from .networks import NetworkConfig, Torso
from .sb3_env import MezeVecEnv, check_counted_from_0

UNTOLD = ("n_updates", "clip_range")
"""What the library logs and no curve needs."""
MOMENTS = {torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"}, torch.optim.RMSprop: {"step", "square_avg"}}
"""What an optimiser keeps of each parameter."""

# --- Network and policy ---------------------------------------------------------------------------------


class TorsoExtractor(BaseFeaturesExtractor):
    """The project's `Torso` where stable-baselines3 expects a features extractor.

    Numbers arrive as one-hot vectors, which is how stable-baselines3 prepares them; arrays as they are.
    """

    def __init__(self, observation_space: Space, net: NetworkConfig) -> None:
        space = observation_space
        if isinstance(space, Discrete | MultiDiscrete):
            space = Box(0.0, 1.0, (get_flattened_obs_dim(space),))
        torso = Torso(space, net, None if net.kind == "auto" else net.kind)
        super().__init__(observation_space, torso.width)
        self.torso = torso

    def forward(self, observations: Tensor) -> Tensor:
        """(B, ...) observations to (B, features)."""
        return self.torso(observations)


class SB3Policy:
    """Acts on a model's network, in batches; masks are honoured.

    Exploring, it draws from the policy of PPO and A2C, and of DQN's actions some at random.
    """

    def __init__(self, trainer: SB3Trainer, rng: np.random.Generator) -> None:
        self._trainer, self._rng = trainer, rng

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool, mask: NDArray | None = None
    ) -> tuple[NDArray[np.int64], Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        with torch.no_grad():
            scores = self._trainer.scores(self._trainer.model.policy.obs_to_tensor(obs)[0]).cpu().numpy()
        if explore:
            scores = self._trainer.explored(scores, self._rng)
        if mask is not None:
            scores = np.where(np.asarray(mask) != 0, scores, -np.inf)
        return scores.argmax(axis=1), memory


# --- Trainers -------------------------------------------------------------------------------------------


class _OwnRandom:
    """Lends the process's random generators, from which stable-baselines3 draws, to one trainer.

    Attributes:
        numpy: numpy's.
        torch: states of torch's, of the CPU and of the device if that is another.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        devices = dict.fromkeys((torch.device("cpu"), device))
        self.numpy = np.random.PCG64(seed)
        self.torch = [torch.Generator(each).manual_seed(seed).get_state() for each in devices]
        self._generators = [_shared_generator(each) for each in devices]

    def __enter__(self) -> None:
        self._before = np.random.get_bit_generator(), self._swap(self.torch)  # type: ignore[attr-defined]
        np.random.set_bit_generator(self.numpy)  # type: ignore[attr-defined]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        np.random.set_bit_generator(self._before[0])  # type: ignore[attr-defined]
        self.torch = self._swap(self._before[1])

    def _swap(self, states: list[Tensor]) -> list[Tensor]:
        """Puts states into torch's generators and returns those that were there."""
        earlier = [generator.get_state() for generator in self._generators]
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)
        return earlier

    def state_dict(self) -> State:
        """The generators' states."""
        states = {f"torch_random.{k}": to_array(each) for k, each in enumerate(self.torch)}
        return {"numpy_random": self.numpy.state, **states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; a generator of a device that was not used then starts anew.

        Raises:
            ValueError: when the states are damaged.
        """
        restore_generator(np.random.Generator(self.numpy), state["numpy_random"])
        for k, generator in enumerate(self._generators):
            if f"torch_random.{k}" not in state:
                continue
            given = torch.from_numpy(np.array(state[f"torch_random.{k}"], np.uint8))
            try:
                torch.Generator(generator.device).set_state(given)
            except RuntimeError as error:
                raise ValueError(f"the random generator's state is damaged ({error})") from None
            self.torch[k] = given


def _shared_generator(device: torch.device) -> torch.Generator:
    """The generator that torch uses on a device where none is named."""
    if device.type == "cpu":
        return torch.default_generator
    torch.cuda.init()
    return torch.cuda.default_generators[device.index or torch.cuda.current_device()]


class SB3Trainer:
    """What the three share: the model, its random numbers, save and restore.

    Attributes:
        model: stable-baselines3's.
        policy: acts on its network.
        exact: whether a saved trainer goes on as if it had never stopped.
        notes: what is worth knowing before a run, in lines.
    """

    name: ClassVar[str]
    model_class: ClassVar[type]
    exact = True

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: Any,
        rng: np.random.Generator,
        device: str = "cpu",
    ) -> None:
        """Makes the model for one environment's spaces.

        Raises:
            ValueError: one line, for spaces that do not fit, or a device that is not there.
        """
        seen = isinstance(observation_space, Box | Discrete | MultiBinary | MultiDiscrete)
        with fitting(self.name, observation_space, action_space):
            if not (seen and isinstance(action_space, Discrete)):
                raise ValueError("it needs observations that are arrays or numbers, and Discrete actions")
            check_counted_from_0(observation_space, action_space)
        self.config, self.num_envs, torch_device = config, num_envs, find_device(device)
        self._random = _OwnRandom(int(rng.integers(2**62)), torch_device)
        self.model: Any = self.model_class(
            "MlpPolicy",
            None,  # it is given its environments later
            learning_rate=lambda _: config.learning_rate.value(self.model.num_timesteps),
            gamma=config.gamma,
            max_grad_norm=config.max_grad_norm,
            policy_kwargs={
                "features_extractor_class": TorsoExtractor,
                "features_extractor_kwargs": {"net": config.net},
                "net_arch": [],
                "normalize_images": False,  # the torso scales by the space's bounds
                **self._policy_settings(),
            },
            device=torch_device,
            _init_setup_model=False,
            **self._settings(),
        )
        self.model.observation_space, self.model.n_envs = observation_space, num_envs
        self.model.action_space = Discrete(int(action_space.n), seed=int(rng.integers(2**31)))
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        with self._random:
            self.model._setup_model()
        self.policy = SB3Policy(self, rng)
        weights = sum(each.numel() for each in self.model.policy.parameters())
        self.notes = [f"network: {weights:,} weights, on {self.model.device.type}"]

    def _settings(self) -> dict[str, Any]:
        """The algorithm's own arguments of the model."""
        raise NotImplementedError

    def _policy_settings(self) -> dict[str, Any]:
        """The algorithm's own arguments of the network."""
        return {}

    def scores(self, obs: Tensor) -> Tensor:
        """(B, A) values or log-probabilities, the best action's highest, of observations on the device."""
        raise NotImplementedError

    def explored(self, scores: NDArray, rng: np.random.Generator) -> NDArray:
        """(B, A) scores whose maximum is the action to take when exploring."""
        raise NotImplementedError

    def begin(self, env: VectorEnv, obs: NDArray) -> None:
        """Takes the environments to step; see `Trainer.begin`."""
        self.model.env = MezeVecEnv(env)
        self.model._last_obs = obs
        self.model._last_episode_starts = np.ones(self.num_envs, np.bool_)
        # The number of transitions given matters to the library's own schedules only, which are not used.
        self._callback: BaseCallback = self.model._setup_learn(1, reset_num_timesteps=False)[1]

    def advance(self) -> tuple[int, dict[str, float]]:
        """Collects transitions and learns from them; see `Trainer.advance`."""
        before = self.model.num_timesteps
        try:
            with self._random:
                self._collect_and_learn()
        finally:
            self._check_weights()  # they also make the library fail
        return self.model.num_timesteps - before, self._metrics()

    def _metrics(self) -> dict[str, float]:
        """What the library logged since the last call; what is no number (a share of nothing) is left out."""
        logged = {name.rpartition("/")[2]: float(v) for name, v in self.model.logger.name_to_value.items()}
        self.model.logger.dump()
        return {name: v for name, v in logged.items() if name not in UNTOLD and math.isfinite(v)}

    def _collect_and_learn(self) -> None:
        raise NotImplementedError

    def _check_weights(self) -> None:
        if not all(bool(each.isfinite().all()) for each in self.model.policy.parameters()):
            raise NonFiniteLossError(
                f"the network's weights are no numbers after {self.model.num_timesteps:,} transitions; a "
                "lower --agent.learning-rate.start may help",
                self._last_batch(),
            )

    def _last_batch(self) -> dict[str, NDArray]:
        """What was learned from last."""
        raise NotImplementedError

    def state_dict(self) -> State:
        """Weights, the optimiser's state, the random generators' and the number of transitions."""
        model = self.model
        state: State = {
            "algorithm": self.name,
            "steps": model.num_timesteps,
            "action_random": model.action_space.np_random.bit_generator.state,
            **self._random.state_dict(),
        }
        for name, tensor in model.policy.state_dict().items():
            state[f"policy.{name}"] = to_array(tensor)
        for number, moments in model.policy.optimizer.state_dict()["state"].items():
            for name, tensor in moments.items():
                state[f"optimizer.{number}.{name}"] = to_array(tensor)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or of another network.
        """
        model = self.model
        if state.get("algorithm") != self.name:
            raise ValueError(f"{self.name} can't go on from a state of {state.get('algorithm')}")
        load_module(model.policy, state, "policy.")
        load_optimizer(model.policy.optimizer, state)
        self._random.load_state_dict(state)
        restore_generator(model.action_space.np_random, state["action_random"])
        model.num_timesteps = int(state["steps"])


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Puts arrays named `optimizer.<parameter>.<name>` into an optimiser; its settings stay as they are.

    Raises:
        ValueError: when they are not of its parameters.
    """
    parameters = [each for part in optimizer.param_groups for each in part["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".")
            moments.setdefault(int(number), {})[name] = torch.from_numpy(np.array(value))
    for number, each in moments.items():
        if not 0 <= number < len(parameters) or set(each) != MOMENTS[type(optimizer)]:
            raise ValueError(f"the optimiser's state {number} is of another optimiser")
        if each["step"].numel() != 1 or any(
            each[name].shape != parameters[number].shape for name in each if name != "step"
        ):
            raise ValueError(f"the optimiser's state {number} is of another shape")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


class ActorCritic(SB3Trainer):
    """What A2C and PPO share."""

    def _settings(self) -> dict[str, Any]:
        names = ("n_steps", "gae_lambda", "ent_coef", "vf_coef")
        return {name: getattr(self.config, name) for name in names}

    def _policy_settings(self) -> dict[str, Any]:
        return {"share_features_extractor": self.config.shared_net}

    def scores(self, obs: Tensor) -> Tensor:
        """(B, A) log-probabilities."""
        return self.model.policy.get_distribution(obs).distribution.logits

    def explored(self, scores: NDArray, rng: np.random.Generator) -> NDArray:
        """Adds Gumbel noise: the maximum is then drawn from the policy, also among the possible actions."""
        return scores + rng.gumbel(size=scores.shape)

    def _collect_and_learn(self) -> None:
        model = self.model
        model.collect_rollouts(model.env, self._callback, model.rollout_buffer, model.n_steps)
        model.train()

    def _last_batch(self) -> dict[str, NDArray]:
        names = ("observations", "actions", "rewards", "values", "returns", "advantages")
        return {name: getattr(self.model.rollout_buffer, name) for name in names}


class SB3A2C(ActorCritic):
    """Advantage actor-critic."""

    name = "sb3-a2c"
    model_class = A2C

    def _metrics(self) -> dict[str, float]:
        """As `SB3Trainer`, and the whole loss, whose parts alone the library logs."""
        told, config = super()._metrics(), self.config
        told["loss"] = (
            told["policy_loss"] + config.ent_coef * told["entropy_loss"] + config.vf_coef * told["value_loss"]
        )
        return told


class SB3PPO(ActorCritic):
    """Proximal policy optimisation."""

    name = "sb3-ppo"
    model_class = PPO

    def _settings(self) -> dict[str, Any]:
        names = ("batch_size", "n_epochs", "clip_range")
        return super()._settings() | {name: getattr(self.config, name) for name in names}


class _Replay(ReplayBuffer):
    """A replay that remembers what was drawn last."""

    drawn: Any = None

    def sample(self, batch_size: int, env: Any = None) -> Any:
        """Draws transitions."""
        self.drawn = super().sample(batch_size, env)
        return self.drawn


class SB3DQN(SB3Trainer):
    """Deep Q-network. Its replay is not saved: a run that goes on fills a new one before it learns."""

    name = "sb3-dqn"
    model_class = DQN
    exact = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `SB3Trainer`.

        Raises:
            ValueError: also when the number of environments does not fit the replay or the target's updates.
        """
        super().__init__(*args, **kwargs)
        config, replay = self.config, self.model.replay_buffer
        self.model.exploration_schedule = lambda _: config.epsilon.value(self.model.num_timesteps)
        size = replay.observations.nbytes + replay.next_observations.nbytes
        self.notes.append(f"replay: {config.buffer_size:,} transitions, {size / 2**20:,.0f} MiB")

    def _settings(self) -> dict[str, Any]:
        config = self.config
        most = min(config.target_update_interval, config.buffer_size - config.learning_starts)
        if self.num_envs > most:
            raise ValueError(
                f"{self.name} takes at most target_update_interval, and buffer_size less learning_starts, "
                f"environments, which are {most}; got num_envs {self.num_envs}"
            )
        names = ("buffer_size", "learning_starts", "batch_size", "train_freq", "gradient_steps")
        settings = {name: getattr(config, name) for name in (*names, "target_update_interval")}
        return settings | {"replay_buffer_class": _Replay}

    def scores(self, obs: Tensor) -> Tensor:
        """(B, A) action values."""
        return self.model.q_net(obs)

    def explored(self, scores: NDArray, rng: np.random.Generator) -> NDArray:
        """Random values instead, in a share epsilon of the rows."""
        random = rng.random((len(scores), 1)) < self.config.epsilon.value(self.model.num_timesteps)
        return np.where(random, rng.random(scores.shape), scores)

    def _collect_and_learn(self) -> None:
        model, config = self.model, self.config
        model.collect_rollouts(
            model.env,
            self._callback,
            model.train_freq,
            model.replay_buffer,
            learning_starts=config.learning_starts,
        )
        if model.replay_buffer.size() * self.num_envs > config.learning_starts:
            model.train(config.gradient_steps, config.batch_size)

    def _last_batch(self) -> dict[str, NDArray]:
        drawn = self.model.replay_buffer.drawn
        named = {} if drawn is None else drawn._asdict()
        return {name: to_array(each) for name, each in named.items() if isinstance(each, Tensor)}

    def state_dict(self) -> State:
        """As `SB3Trainer`, and how long ago the target network was updated."""
        return {**super().state_dict(), "calls": self.model._n_calls}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `SB3Trainer`."""
        super().load_state_dict(state)
        self.model._n_calls = int(state["calls"])
