"""stable-baselines3's PPO, A2C and DQN, trained, evaluated and saved like the project's own agents.

The algorithms are the library's: PPO (Schulman et al. 2017), A2C (Mnih et al. 2016), DQN (Mnih et al. 2015).
They own their loop, so each is a `Trainer`: it is given environments and steps them itself. Its network
begins with the project's `Torso`; schedules count transitions, as everywhere else, not shares of a run.
`box` has those that know nothing but Box actions, `recurrent` sb3-contrib's PPO with a memory.

None of them knows masks. In training an impossible action is what the environment makes of it; `act`
chooses among the possible ones.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from functools import reduce
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from ..base import Memory, NonFiniteLossError, Policy, State, Trainer, fitting
from ..checks import check_algorithm, restore_generator
from ..deep.net_config import NetworkConfig
from ..deep.networks import Torso
from ..deep.tensors import find_device, load_module, load_optimizer, saved_optimizer, to_array
from .random import OwnRandom
from .replays import LastDrawn, LastDrawnNStep
from .rewards import Rewards
from .spaces import Codec, actions_codec, observations_codec
from .vec_env import MezeVecEnv

UNTOLD = ("n_updates", "clip_range")
"""What the library logs and no curve needs."""

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


class SB3Policy(Policy):
    """Acts on a model's network, in batches; masks are honoured.

    Exploring, it draws from the policy of an actor, and of DQN's actions some at random.
    """

    def __init__(self, trainer: SB3Trainer, rng: np.random.Generator) -> None:
        self._trainer, self._rng = trainer, rng

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B, ...) actions; see `Policy.act`."""
        return self._trainer.chosen(obs, memory, self._rng if explore else None, mask)


# --- Trainers -------------------------------------------------------------------------------------------


class SB3Trainer(Trainer):
    """What all share: the model, its random numbers, save and restore.

    Attributes:
        model: stable-baselines3's, for the spaces of `observations` and `actions`.
        policy: acts on its network.
    """

    name: ClassVar[str]
    model_class: ClassVar[type]
    takes: ClassVar[tuple[type[Space], ...]] = (Discrete,)
    """Action spaces; several numbers or bits are MultiDiscrete."""
    joint = False
    """Whether actions of several parts are chosen as the one number that stands for them."""
    network = "MlpPolicy"
    """What the library calls the network of which the project's torso is the beginning."""

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
        with fitting(self.name, observation_space, action_space):
            self.observations: Codec = observations_codec(observation_space)
            self.actions: Codec = actions_codec(action_space, joint=self.joint)
            if not isinstance(self.actions.space, self.takes):
                raise ValueError(f"it needs {' or '.join(each.__name__ for each in self.takes)} actions")
        self.config, self.num_envs, torch_device = config, num_envs, find_device(device)
        self._random = OwnRandom(int(rng.integers(2**62)), torch_device)
        self.model: Any = self.model_class(
            self.network,
            None,  # it is given its environments later
            learning_rate=lambda _: config.learning_rate.value(self.model.num_timesteps),
            gamma=config.gamma,
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
        self.model.observation_space, self.model.n_envs = self.observations.space, num_envs
        self.model.action_space = deepcopy(self.actions.space)
        self.model.action_space.seed(int(rng.integers(2**31)))
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        with self._random:
            self.model._setup_model()
        self.policy = SB3Policy(self, rng)
        weights = sum(each.numel() for each in self.model.policy.parameters())
        self.notes = [f"network: {weights:,} weights, on {self.model.device.type}"]

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """The algorithm's own arguments of the model."""

    def _policy_settings(self) -> dict[str, Any]:
        """The algorithm's own arguments of the network."""
        return {}

    def chosen(
        self, obs: NDArray, memory: Memory, rng: np.random.Generator | None, mask: NDArray | None
    ) -> tuple[NDArray, Memory]:
        """(B, ...) actions for (B, ...) observations, and the memory afterwards.

        Args:
            obs: as the environment gives them.
            memory: what is remembered; see `Policy.act`.
            rng: what exploring draws from; None: it acts as well as it can.
            mask: (B, A), nonzero where the action is possible, or None.
        """
        tensor = self.model.policy.obs_to_tensor(self.observations.encode(obs))[0]
        with torch.no_grad():
            actions, memory = self._recalling(tensor, memory, rng, mask)
        return self.actions.decode(actions), memory

    def _recalling(
        self, obs: Tensor, memory: Memory, rng: np.random.Generator | None, mask: NDArray | None
    ) -> tuple[NDArray, Memory]:
        """As `_chosen`, and the memory afterwards; most have none."""
        return self._chosen(obs, rng, mask), memory

    def _chosen(self, obs: Tensor, rng: np.random.Generator | None, mask: NDArray | None) -> NDArray:
        """(B, ...) actions as the model has them, for observations on the device; see `chosen`."""
        return self._picked(self.scores(obs).cpu().numpy(), rng, mask)

    def _picked(self, scores: NDArray, rng: np.random.Generator | None, mask: NDArray | None) -> NDArray:
        """(B,) actions of (B, A) scores."""
        if rng is not None:
            scores = self.explored(scores, rng)
        if mask is not None:
            scores = np.where(np.asarray(mask) != 0, scores, -np.inf)
        return scores.argmax(axis=1)

    def scores(self, obs: Tensor) -> Tensor:
        """(B, A) values or log-probabilities, the best action's highest, of observations on the device."""
        raise NotImplementedError(f"{self.name} has no score for each action")

    def explored(self, scores: NDArray, rng: np.random.Generator) -> NDArray:
        """(B, A) scores whose maximum is the action to take when exploring."""
        raise NotImplementedError(f"{self.name} has no score for each action")

    def begin(self, env: VectorEnv, obs: NDArray) -> None:
        """Takes the environments to step; see `Trainer.begin`."""
        self.model.env = self._wrapped(MezeVecEnv(env, actions=self.actions))
        self.model._last_obs = self.observations.encode(obs)
        self.model._last_episode_starts = np.ones(self.num_envs, np.bool_)
        # The number of transitions given matters to the library's own schedules only, which are not used.
        self._callback: BaseCallback = self.model._setup_learn(1, reset_num_timesteps=False)[1]

    def _wrapped(self, env: VecEnv) -> VecEnv:
        """The environments as the algorithm sees them."""
        return env

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

    @abstractmethod
    def _collect_and_learn(self) -> None:
        """Lets the library do both, once."""

    def _check_weights(self) -> None:
        if not all(bool(each.isfinite().all()) for each in self.model.policy.parameters()):
            raise NonFiniteLossError(
                f"the network's weights are no numbers after {self.model.num_timesteps:,} transitions; a "
                "lower --agent.learning-rate.start may help",
                self._last_batch(),
            )

    @abstractmethod
    def _last_batch(self) -> dict[str, NDArray]:
        """What was learned from last."""

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
        for prefix, optimizer in self._optimizers().items():
            state |= saved_optimizer(optimizer, prefix)
        return state

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers, by the names that their states bear in a checkpoint."""
        return {"optimizer": self.model.policy.optimizer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or of another network.
        """
        model = self.model
        check_algorithm(state, self.name)
        load_module(model.policy, state, "policy.")
        for prefix, optimizer in self._optimizers().items():
            load_optimizer(optimizer, state, prefix)
        self._random.load_state_dict(state)
        restore_generator(model.action_space.np_random, state["action_random"])
        model.num_timesteps = int(state["steps"])


class ActorCritic(SB3Trainer):
    """What A2C and PPO share.

    Of several parts each has a distribution of its own; a mask of all combinations is met by the joint one.
    """

    takes = (Discrete, MultiDiscrete, Box)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `SB3Trainer`."""
        super().__init__(*args, **kwargs)
        config = self.config
        self._rewards = Rewards(self.num_envs, config.gamma) if config.normalize_rewards else None

    def _wrapped(self, env: VecEnv) -> VecEnv:
        """See `SB3Trainer`."""
        return env if self._rewards is None else self._rewards.around(env)

    def state_dict(self) -> State:
        """As `SB3Trainer`, and what was seen of returns, where rewards are divided."""
        return super().state_dict() | ({} if self._rewards is None else self._rewards.state_dict())

    def load_policy(self, state: Mapping[str, Any]) -> None:
        """See `Trainable.load_policy`."""
        SB3Trainer.load_state_dict(self, state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `SB3Trainer`."""
        super().load_state_dict(state)
        if self._rewards is not None:
            self._rewards.load_state_dict(state)

    def _settings(self) -> dict[str, Any]:
        names = ("gae_lambda", "vf_coef", "max_grad_norm")
        return {name: getattr(self.config, name) for name in names} | {"n_steps": self.config.num_steps}

    def _policy_settings(self) -> dict[str, Any]:
        return {"share_features_extractor": self.config.shared_net}

    def _chosen(self, obs: Tensor, rng: np.random.Generator | None, mask: NDArray | None) -> NDArray:
        """See `SB3Trainer`."""
        return self._drawn(self.model.policy.get_distribution(obs).distribution, rng, mask)

    def _drawn(self, found: Any, rng: np.random.Generator | None, mask: NDArray | None) -> NDArray:
        """(B, ...) actions of torch's distribution of them, or of a list of those of the parts."""
        space = self.actions.space
        if isinstance(space, Box):
            mean, spread = found.mean.cpu().numpy(), found.stddev.cpu().numpy()
            return mean if rng is None else mean + spread * rng.normal(size=mean.shape)
        if isinstance(space, Discrete):
            return self._picked(found.logits.cpu().numpy(), rng, mask)
        parts = [part.logits.cpu().numpy() for part in found]
        if mask is None or not self.actions.is_number:
            return np.stack([self._picked(part, rng, None) for part in parts], axis=1)
        together = reduce(lambda some, part: some[..., None] + part[:, None], parts)
        numbers = self._picked(together.reshape(len(together), -1), rng, mask)
        return np.stack(np.unravel_index(numbers, [part.shape[1] for part in parts]), axis=1)

    def scores(self, obs: Tensor) -> Tensor:
        """(B, A) log-probabilities."""
        return self.model.policy.get_distribution(obs).distribution.logits

    def explored(self, scores: NDArray, rng: np.random.Generator) -> NDArray:
        """Adds Gumbel noise: the maximum is then drawn from the policy, also among the possible actions."""
        return scores + rng.gumbel(size=scores.shape)

    def _collect_and_learn(self) -> None:
        model = self.model
        model.collect_rollouts(model.env, self._callback, model.rollout_buffer, model.n_steps)
        model.ent_coef = self.config.ent_coef.value(model.num_timesteps)  # to the library a constant
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
        told, model = super()._metrics(), self.model
        weighed = model.ent_coef * told["entropy_loss"] + model.vf_coef * told["value_loss"]
        return told | {"loss": told["policy_loss"] + weighed}


class SB3PPO(ActorCritic):
    """Proximal policy optimisation."""

    name = "sb3-ppo"
    model_class = PPO

    def _settings(self) -> dict[str, Any]:
        config, size = self.config, self.config.num_steps * self.num_envs
        if (
            size % config.num_minibatches or size == config.num_minibatches
        ):  # advantages are normalised over each
            raise ValueError(
                "num_minibatches must divide num_steps * num_envs, and leave two transitions to each; "
                f"got {config.num_minibatches} and {size}"
            )
        return super()._settings() | {
            "batch_size": size // config.num_minibatches,
            "n_epochs": config.update_epochs,
            "clip_range": config.clip_range,
        }


class OffPolicy(SB3Trainer):
    """What those with a replay share, which is not saved: a run that goes on fills a new one first."""

    exact = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `SB3Trainer`.

        Raises:
            ValueError: also when the number of environments does not fit the settings.
        """
        super().__init__(*args, **kwargs)
        replay = self.model.replay_buffer
        size = replay.observations.nbytes + replay.next_observations.nbytes
        self.notes = [
            *self.notes,
            f"replay: {self.config.buffer_size:,} transitions, {size / 2**20:,.0f} MiB",
        ]

    def _settings(self) -> dict[str, Any]:
        config = self.config
        if self.num_envs > config.most_envs:
            raise ValueError(
                f"with its replay, learning_starts and target updates the most environments of {self.name} "
                f"are {config.most_envs}; got num_envs {self.num_envs}"
            )
        names = ("buffer_size", "learning_starts", "batch_size", "train_freq", "gradient_steps")
        return {name: getattr(config, name) for name in names} | {"replay_buffer_class": LastDrawn}

    def _collect_and_learn(self) -> None:
        model, config = self.model, self.config
        collected = model.collect_rollouts(
            model.env,
            self._callback,
            model.train_freq,
            model.replay_buffer,
            action_noise=model.action_noise,
            learning_starts=config.learning_starts,
        )
        if model.replay_buffer.size() * self.num_envs > config.learning_starts:
            steps = config.gradient_steps if config.gradient_steps > 0 else collected.episode_timesteps
            model.train(steps, config.batch_size)

    def _last_batch(self) -> dict[str, NDArray]:
        drawn = self.model.replay_buffer.drawn
        named = {} if drawn is None else drawn._asdict()
        return {name: to_array(each) for name, each in named.items() if isinstance(each, Tensor)}


class SB3DQN(OffPolicy):
    """Deep Q-network."""

    name = "sb3-dqn"
    model_class = DQN
    joint = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `OffPolicy`."""
        super().__init__(*args, **kwargs)
        epsilon = self.config.exploration
        self.model.exploration_schedule = lambda _: epsilon.value(self.model.num_timesteps)

    def _settings(self) -> dict[str, Any]:
        config, names = self.config, ("target_update_interval", "tau", "max_grad_norm")
        settings = super()._settings() | {name: getattr(config, name) for name in names}
        if config.n_step > 1:
            settings["replay_buffer_class"] = LastDrawnNStep
            settings["replay_buffer_kwargs"] = {"n_steps": config.n_step, "gamma": config.gamma}
        return settings

    def scores(self, obs: Tensor) -> Tensor:
        """(B, A) action values."""
        return self.model.q_net(obs)

    def explored(self, scores: NDArray, rng: np.random.Generator) -> NDArray:
        """Random values instead, in a share epsilon of the rows."""
        random = rng.random((len(scores), 1)) < self.config.exploration.value(self.model.num_timesteps)
        return np.where(random, rng.random(scores.shape), scores)

    def state_dict(self) -> State:
        """As `SB3Trainer`, and how long ago the target network was updated."""
        return {**super().state_dict(), "calls": self.model._n_calls}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `SB3Trainer`."""
        super().load_state_dict(state)
        self.model._n_calls = int(state["calls"])
