"""sb3-contrib's PPO with long short-term memory, of which stable-baselines3 has none; see `trainers`.

The algorithm is the library's: PPO (Schulman et al. 2017) on whole sequences, whose first states were kept as
they were when acting. Between torso and heads stand two memories, the policy's and the values'; who only
acts carries the former.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch import Tensor

from ..base import Memory, State
from ..memory import named, restored
from .trainers import SB3PPO


class SB3RecurrentPPO(SB3PPO):
    """Proximal policy optimisation, with long short-term memory.

    What its policy remembers is a dict of two (B, units) tensors, `hidden` and `cell`.
    """

    name = "sb3-recurrent-ppo"
    model_class = RecurrentPPO
    network = "MlpLstmPolicy"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `SB3Trainer`."""
        super().__init__(*args, **kwargs)
        space = self.observations.space
        self.model._last_obs = np.zeros((self.num_envs, *(space.shape or ())), space.dtype)
        self.model._last_episode_starts = np.ones(self.num_envs, np.bool_)

    def _policy_settings(self) -> dict[str, Any]:
        return super()._policy_settings() | {"lstm_hidden_size": self.config.net.hidden[-1]}

    def _recalling(
        self, obs: Tensor, memory: Memory, rng: np.random.Generator | None, mask: NDArray | None
    ) -> tuple[NDArray, Memory]:
        """See `SB3Trainer`; the library has the layer before the batch."""
        policy, rows = self.model.policy, len(obs)
        if memory is None:
            fresh = torch.zeros(rows, policy.lstm_output_dim, device=obs.device)
            memory = {"hidden": fresh, "cell": fresh}
        states, begins = (memory["hidden"][None], memory["cell"][None]), torch.zeros(rows, device=obs.device)
        found, (hidden, cell) = policy.get_distribution(obs, states, begins)
        return self._drawn(found.distribution, rng, mask), {"hidden": hidden[0], "cell": cell[0]}

    def begin(self, env: VectorEnv, obs: NDArray) -> None:
        """See `Trainer.begin`; streams that stand elsewhere than when it saw them last begin anew."""
        seen, begins = self.model._last_obs, self.model._last_episode_starts
        super().begin(env, obs)
        elsewhere = (self.model._last_obs != seen).reshape(self.num_envs, -1).any(axis=1)
        self.model._last_episode_starts = begins | elsewhere

    @property
    def _streams(self) -> Memory:
        """What is remembered of each, what it saw last, and whether an episode begins there."""
        model = self.model
        (hidden, cell), (values_hidden, values_cell) = model._last_lstm_states
        return {
            "policy": {"hidden": hidden[0], "cell": cell[0]},
            "values": {"hidden": values_hidden[0], "cell": values_cell[0]},
            "seen": model._last_obs.astype(self.observations.space.dtype, copy=False),
            "begins": model._last_episode_starts,
        }

    def state_dict(self) -> State:
        """As `SB3Trainer`, and where the environments' episodes stand."""
        return {**super().state_dict(), **named(self._streams)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `SB3Trainer`."""
        super().load_state_dict(state)
        streams = restored(state, lambda: self._streams)
        if streams is None:
            raise ValueError("what was remembered of the environments is missing")
        both = ((streams[name]["hidden"][None], streams[name]["cell"][None]) for name in ("policy", "values"))
        self.model._last_lstm_states = RNNStates(*both)
        self.model._last_obs, self.model._last_episode_starts = streams["seen"], streams["begins"]
