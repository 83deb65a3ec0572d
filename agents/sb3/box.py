"""stable-baselines3's SAC and TD3, for Box actions; see `sb3`.

The algorithms are the library's: SAC (Haarnoja et al. 2018), TD3 (Fujimoto et al. 2018). What an actor and
its critics share of the project's `Torso` is what has no fully connected layers: scales, convolutions. The
layers are the library's, each critic's its own, since actions must meet observations before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from numpy.typing import NDArray
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from torch import Tensor, nn

from ..base import State
from ..checks import taken
from ..deep.net_config import NetworkConfig
from ..deep.tensors import to_array
from .trainers import OffPolicy, TorsoExtractor


class BodyExtractor(TorsoExtractor):
    """The `Torso` up to its first fully connected layer."""

    def __init__(self, observation_space: Space, net: NetworkConfig) -> None:
        super().__init__(observation_space, net)
        parts = list(self.torso.parts)
        first = next(k for k, part in enumerate(parts) if isinstance(part, nn.Linear))
        self._features_dim = parts[first].in_features
        self.torso.parts = nn.Sequential(*parts[:first])


class BoxTrainer(OffPolicy):
    """What both share: actors of numbers from -1 to 1, and optimisers of actor and critics."""

    takes = (Box,)

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"tau": self.config.tau}

    def _policy_settings(self) -> dict[str, Any]:
        return {"features_extractor_class": BodyExtractor, "net_arch": list(self.config.net.hidden)}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "actor_optimizer": self.model.actor.optimizer,
            "critic_optimizer": self.model.critic.optimizer,
        }

    def _metrics(self) -> dict[str, float]:
        """As `SB3Trainer`; the critics' loss is the one that says whether it goes on."""
        told = super()._metrics()
        return told | ({"loss": told["critic_loss"]} if "critic_loss" in told else {})


class SB3SAC(BoxTrainer):
    """Soft actor-critic."""

    name = "sb3-sac"
    model_class = SAC

    def _settings(self) -> dict[str, Any]:
        weight, size = self.config.ent_coef, float(np.prod(self.actions.space.shape or ()))
        return super()._settings() | {
            "ent_coef": "auto" if weight is None else weight,
            "target_entropy": -size,  # as the library chooses it, which asks environments that it has not yet
        }

    def _chosen(self, obs: Tensor, rng: np.random.Generator | None, mask: NDArray | None) -> NDArray:
        """The squashed mean, or a draw from the squashed Gaussian; masks do not apply."""
        mean, log_spread, _ = self.model.actor.get_action_dist_params(obs)
        values = mean.cpu().numpy()
        if rng is not None:
            values = values + log_spread.exp().cpu().numpy() * rng.normal(size=values.shape)
        return np.tanh(values)

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        entropy = self.model.ent_coef_optimizer
        return super()._optimizers() | ({} if entropy is None else {"entropy_optimizer": entropy})

    def state_dict(self) -> State:
        """As `SB3Trainer`, and the entropy's weight where it is learned."""
        weight = self.model.log_ent_coef
        return super().state_dict() | ({} if weight is None else {"log_ent_coef": to_array(weight)})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `SB3Trainer`."""
        weight = self.model.log_ent_coef
        if weight is not None:
            given = torch.from_numpy(taken(state, "log_ent_coef", np.float32, 1))
        super().load_state_dict(state)
        if weight is not None:
            with torch.no_grad():
                weight.copy_(given)


class SB3TD3(BoxTrainer):
    """Twin delayed deep deterministic policy gradient."""

    name = "sb3-td3"
    model_class = TD3

    def _settings(self) -> dict[str, Any]:
        size = int(np.prod(self.actions.space.shape or ()))
        names = ("policy_delay", "target_policy_noise", "target_noise_clip")
        noise = NormalActionNoise(np.zeros(size), np.full(size, self.config.action_noise))
        return (
            super()._settings()
            | {name: getattr(self.config, name) for name in names}
            | {"action_noise": noise}
        )

    def _chosen(self, obs: Tensor, rng: np.random.Generator | None, mask: NDArray | None) -> NDArray:
        """The actor's action, with noise when it explores; masks do not apply."""
        values = self.model.actor(obs).cpu().numpy()
        return values if rng is None else values + self.config.action_noise * rng.normal(size=values.shape)

    def state_dict(self) -> State:
        """As `SB3Trainer`, and the number of updates, of which the actor has every second one."""
        return {**super().state_dict(), "updates": self.model._n_updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `SB3Trainer`."""
        super().load_state_dict(state)
        self.model._n_updates = int(state["updates"])
