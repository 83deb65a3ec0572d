"""PPO: proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347).

N environments take T steps each with the policy. The advantages of what was done come from generalised
advantage estimation (Schulman et al. 2016, arXiv 1506.02438). Then the policy is fitted to them in several
passes over minibatches, and the clipped objective keeps it near the one that acted:

    L = min(r A, clip(r, 1 - c, 1 + c) A)        r = pi(a | s) / pi_then(a | s)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Space
from numpy.typing import NDArray
from torch import Tensor

from ...checking import above, at_least, within
from ..base import Decided, Expected, Memory, State, Transition
from ..ranges import Choices, GradientLength, Parts, Range, StepSize
from ..schedules import Schedule
from .actor_critic import ActorCritic
from .distributions import Distribution, make_distribution
from .fitting import Clipping, Rollout
from .learner import DeepConfig, DeepLearner, DeepPolicy
from .normalising import Returns, spread
from .perceptron import Perceptron
from .recurrent import Sequences, of_rows
from .tensors import to_array
from .trajectories import Trajectories


@dataclass(frozen=True)
class PPOConfig(DeepConfig):
    """Settings of PPO.

    Raises:
        ValueError: for a value out of its range.
    """

    learning_rate: StepSize = Schedule(1e-3, 1e-5, 1_000_000)
    """Step size of the optimiser (Adam; Kingma & Ba 2015)."""
    max_grad_norm: GradientLength = 0.5
    """A gradient that is longer is shortened to this length."""
    shared_net: bool = False
    """One network with two heads, instead of one for the policy and one for the values."""
    num_steps: Annotated[int, Choices(16, 32, 64, 128)] = 32
    """T: steps of each environment between two updates."""
    num_minibatches: Annotated[int, Choices(4, 8, 16, 32)] = 4
    """Parts into which these transitions are shuffled; each is one step of the optimiser."""
    update_epochs: Annotated[int, Range(1, 8)] = 4
    """Passes over them."""
    gae_lambda: Annotated[float, Range(0.8, 1.0)] = 0.95
    """How far advantages look ahead before they trust the values, from 0 to 1."""
    clip_range: Annotated[Schedule, Parts(end=Range(0.1, 0.4))] = Schedule(0.2, 0.2, 0)
    """How far the probability of an action may move in an update, as a share."""
    ent_coef: Annotated[Schedule, Parts(start=Range(1e-4, 0.1, log=True))] = Schedule(0.01, 0.0, 1_000_000)
    """Weight of the policy's entropy: more keeps it from settling early."""
    vf_coef: Annotated[float, Range(0.25, 1.0)] = 0.5
    """Weight of the values' loss."""
    clip_values: bool = False
    """Keep values near those at the time of acting, as probabilities are."""
    normalize_advantages: bool = True
    """Bring the advantages of a minibatch to mean 0 and deviation 1."""
    normalize_observations: bool = False
    """Bring observations that are vectors to mean 0 and deviation 1, as far as they have been seen."""
    normalize_rewards: Annotated[bool, Choices()] = False
    """Divide rewards by the deviation of the discounted return so far."""
    log_std_init: float = 0.0
    """Where the logarithms of the standard deviations of Box actions begin; 0 spans half their bounds."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        if self.net.dueling:
            raise ValueError("networks of ppo are not dueling")
        at_least(self, 1, "num_steps", "num_minibatches", "update_epochs")
        within(self, 0.0, 1.0, "gae_lambda")
        above(self, 0, "clip_range.start")
        at_least(self, 0, "clip_range.end", "ent_coef.start", "ent_coef.end", "vf_coef")
        within(self, -10.0, 2.0, "log_std_init")


def advantages(
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    value: Tensor,
    next_value: Tensor,
    gamma: float | Tensor,
    gae_lambda: float,
) -> Tensor:
    """Generalised advantages of T steps of N environments, from the last to the first (equation 16).

        delta_t = R_t + gamma V(S_t+1) - V(S_t)        A_t = delta_t + gamma lambda A_t+1

    An episode that terminated has no V(S_t+1); where it ended in any way, there is no A_t+1.

    Args:
        reward: (T, N) rewards.
        terminated: (T, N) bool.
        truncated: (T, N) bool.
        value: (T, N) V(S_t).
        next_value: (T, N) V(S_t+1) of the true successors.
        gamma: discount factor, or (T, N) float64 discounts.
        gae_lambda: lambda.

    Returns:
        (T, N) advantages.
    """
    kind = {"dtype": reward.dtype, "device": reward.device}
    discount, decay = (torch.as_tensor(each, **kind) for each in (gamma, gamma * gae_lambda))
    delta = reward + discount * torch.where(terminated, 0.0, next_value) - value
    carried = decay * ~(terminated | truncated)
    result = torch.empty_like(delta)
    following = torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        following = torch.addcmul(delta[t], carried[t], following, out=result[t])
    return result


def policy_loss(log_ratio: Tensor, advantage: Tensor, clip: Tensor) -> Tensor:
    """The clipped objective, to be made small (equation 7).

    Args:
        log_ratio: (B,) log pi(a | s) - log pi_then(a | s).
        advantage: (B,) advantages.
        clip: () how far the ratio is followed.
    """
    ratio = log_ratio.exp()
    kept = torch.maximum(torch.minimum(ratio, 1.0 + clip), 1.0 - clip)
    return -torch.minimum(ratio * advantage, kept * advantage).mean()


def value_loss(value: Tensor, then: Tensor, target: Tensor, clip: Tensor | None) -> Tensor:
    """Half the mean squared error; with a clip, the larger of it and that of values kept near those then."""
    error = (value - target).square()
    if clip is not None:
        kept = then + torch.maximum(torch.minimum(value - then, clip), -clip)
        error = torch.maximum(error, (kept - target).square())
    return 0.5 * error.mean()


PARTS = "loss", "policy_loss", "value_loss", "entropy", "clipped", "divergence"
"""What an update tells: the loss and its parts, the share of probabilities that were clipped, and how far the
policy moved."""


class Acted(NamedTuple):
    """What a `PPOPolicy` that explores tells its learner (`Transition.extras`)."""

    inputs: Tensor
    """(B, ...) what the network saw, on the device."""
    action: Tensor
    """(B, parts) what was drawn, as its distribution has it."""
    log_probability: Tensor
    """(B,) how likely it was."""
    value: Tensor
    """(B,) what the observations are worth."""
    state: Tensor | None = None
    """(B, state_size) what the network remembers of them, if it does."""


class Rows(NamedTuple):
    """What the network is fitted to: the steps of a rollout, or some of them."""

    obs: Tensor
    """(B, ...) as the network sees them."""
    action: Tensor
    """(B, parts)."""
    log_then: Tensor
    """(B,) log probabilities by the policy that acted."""
    value_then: Tensor
    """(B,) values by its critic."""
    advantage: Tensor
    """(B,)."""
    target: Tensor
    """(B,) of the values."""
    mask: Tensor | None = None
    """(B, A) which actions were possible."""


class PPOPolicy(DeepPolicy):
    """Draws actions from the network's distribution when exploring, else it takes the likeliest.

    Args:
        distribution: of actions.
        **settings: see `DeepPolicy`.
    """

    values_are = "chance"
    network: ActorCritic

    def __init__(self, *, distribution: Distribution, **settings: Any) -> None:
        super().__init__(**settings)
        self.distribution = distribution

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> Decided:
        """Chooses (B, ...) actions; see `Policy.act`. Exploring, it returns how it `Acted` too."""
        choose = self._draw if explore else self._best
        inputs, (action, *known), memory = self._decided(choose, obs, memory, mask)
        chosen = self.distribution.to_space(action.cpu().numpy())
        if not explore:
            return chosen, memory
        return chosen, memory, Acted(inputs, action, known[0], known[1], memory if self.state_size else None)

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray[np.float64] | None:
        """The (B, A) probabilities of actions that are one number, as if all were possible."""
        return self.distribution.probabilities(self._look(obs, memory)[0])

    def state_values(self, obs: NDArray, memory: Memory = None) -> NDArray[np.float64]:
        """See `Policy.state_values`; rewards that were normalised are as the learner sees them."""
        return self._look(obs, memory)[1].cpu().numpy().astype(np.float64)

    def told(self, outputs: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """See `DeepPolicy.told`: `value` is (B,), the others are its distribution's."""
        (given, value), (possible, _) = self.read(outputs), self.read(outputs, mask)
        return self.distribution.told(given, self.distribution.best(possible)) | {"value": value}

    @torch.no_grad()
    def _look(self, obs: NDArray, memory: Memory) -> tuple[Tensor, Tensor]:
        inputs = self.to_device(self._stack(obs, memory)[0])
        return self.read(self.step(inputs, self.state(memory, len(obs)))[0])

    def _draw(self, outputs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        given, value = self.read(outputs, mask)
        return *self.distribution.draw(given, self.generator), value

    def _best(self, outputs: Tensor, mask: Tensor | None) -> tuple[Tensor]:
        return (self.distribution.best(self.read(outputs, mask)[0]),)

    def read(self, outputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What (B, outputs) of the network say: (B, P) of the distribution, and (B,) values."""
        given, value = self.network.split(outputs)
        return self.distribution.masked(given, mask), value


class PPO(DeepLearner):
    """Learns a policy and the values of states from the policy's own steps."""

    name = "ppo"
    policy: PPOPolicy
    network: ActorCritic
    schedules = ("learning_rate", "clip_range", "ent_coef")

    def __init__(self, observation_space: Space, *args: Any, **kwargs: Any) -> None:
        """See `DeepLearner`.

        Raises:
            ValueError: when the transitions can't be shared out evenly to the minibatches.
        """
        super().__init__(observation_space, *args, **kwargs)
        config, self._observation_space = self.config, observation_space
        self._trajectories = Trajectories(
            *(config.num_steps, self.num_envs, self.device),
            frames=config.frame_stack,
            state_size=self.policy.state_size,
        )
        self._trajectories.check(config.num_minibatches)
        self._returns = Returns(self.num_envs, config.gamma) if config.normalize_rewards else None

    def _make_network(self, observation_space: Space, action_space: Space) -> ActorCritic:
        self._distribution = make_distribution(action_space)
        return ActorCritic(observation_space, self._distribution, self.config)

    def _compile(self) -> Perceptron | None:
        return Perceptron.of(self.network.nets, self._optimizer, self.network.norm)

    def _make_policy(self, **settings: Any) -> PPOPolicy:
        return PPOPolicy(distribution=self._distribution, **settings)

    def learn(self, batch: Transition) -> dict[str, float | Tensor]:
        """Takes one step of N environments; every T-th call fits the network. See `Learner.learn`.

        Returns:
            After fitting, means over all minibatches: the loss and its parts, the share of probabilities that
            were clipped, and how far the policy moved (an estimate of the Kullback-Leibler divergence).

        Raises:
            ValueError: for actions that its own policy did not choose.
        """
        self._check_loss()
        if not isinstance(batch.extras, Acted):
            raise ValueError("ppo learns from what its own policy does alone")
        inputs, action, log_probability, value, after = batch.extras
        if self._returns is not None:
            batch = batch._replace(reward=self._returns.scaled(batch))
        columns = {"action": action, "log_probability": log_probability, "value": value}
        if batch.mask is not None:
            columns["mask"] = self.policy.to_device(np.asarray(batch.mask, np.bool_))
        columns |= self.policy.remembered(batch)
        self._trajectories.add(batch, inputs, value, after, **columns)
        self._advance(batch.taken)
        return self._learn_rollout() if self._trajectories.full else {}

    def expected(self, batch: Transition) -> Expected | None:
        """The critic's values, of states alone; see `Learner.expected`."""
        if not isinstance(batch.extras, Acted):
            return None
        value = to_array(batch.extras.value).astype(np.float64)
        if self._returns is not None:
            value *= self._returns.deviation
        return Expected(value, self.config.gamma * value)

    def _learn_rollout(self) -> dict[str, float | Tensor]:
        """Fits the network to the whole rollout."""
        config = self.config
        policy, trajectories = self.policy, self._trajectories
        rollout = trajectories.finish(lambda obs, state, _: policy.read(policy.step(obs, state)[0])[1])
        advantage = advantages(
            *(rollout[name] for name in ("reward", "terminated", "truncated", "value", "next_value")),
            gamma=trajectories.discounts(rollout, config.gamma),
            gae_lambda=config.gae_lambda,
        )
        kept = [rollout[name] for name in ("obs", "action", "log_probability", "value")]
        kept += [advantage, advantage + rollout["value"], *([rollout["mask"]] if "mask" in rollout else [])]
        rows = Rows(*(each.flatten(0, 1) for each in kept))
        compiled, sequences = policy.compiled_for(rows.obs), trajectories.sequences(rollout)
        parts = trajectories.minibatches(config.update_epochs, config.num_minibatches, self.generator)
        if compiled is None:
            told = self._fit_by_torch(rows, parts, sequences)
        else:
            told = self._fit_compiled(compiled, rows, parts, sequences)
        if self.network.norm is not None:  # as late as this, so that the policy that acted is the one fitted
            self.network.norm.see(rows.obs)
        means = told.mean(dim=0)
        self._note(means[0])
        return dict(zip(PARTS, means, strict=True))

    def _fit_by_torch(self, rows: Rows, parts: Sequence[Tensor], sequences: Sequences | None) -> Tensor:
        """Fits the network to a rollout; returns what `_fit` does, of each minibatch."""
        columns = [each for each in rows if each is not None]
        told = []
        for part in parts:
            chosen = (each.index_select(0, part) for each in columns)
            told.append(self._update(*of_rows(sequences, part), *chosen).clone())
        return torch.stack(told)

    def _fit_compiled(
        self, compiled: Perceptron, rows: Rows, parts: Sequence[Tensor], sequences: Sequences | None
    ) -> Tensor:
        """As `_fit_by_torch`, in one call."""
        config, deviation = self.config, self.network.log_deviation
        everything = np.empty((0, self._distribution.size), np.bool_)
        possible = everything if rows.mask is None else rows.mask.numpy()
        known = (each.numpy() for each in rows[2:6])
        rollout = Rollout(rows.action.numpy(), possible, *known)
        clip, entropy = (np.float32(self._now[name]) for name in ("clip_range", "ent_coef"))
        clipping = Clipping(
            self._distribution.choices,
            0 if deviation is None else self._optimizer.place(deviation),
            clip,
            entropy,
            np.float32(config.vf_coef),
            config.clip_values,
            config.normalize_advantages,
        )
        self._remember(rows)
        arguments = rows.obs, torch.cat(list(parts)).numpy(), len(parts), rollout, clipping, sequences
        return torch.from_numpy(compiled.fit_policy(*arguments))

    def _remember(self, rows: Rows) -> None:
        """Keeps what to tell of an update that went wrong."""
        self._last_batch = {name: getattr(rows, name) for name in ("obs", "action", "advantage", "target")}

    def _fit(self, *columns: Tensor) -> Tensor:
        """One step of the optimiser on a minibatch of `Rows`; returns `PARTS`."""
        config, distribution, known = self.config, self._distribution, 2 if self.policy.state_size else 0
        sequences, rows = Sequences(*columns[:2]) if known else None, Rows(*columns[known:])
        given, value = self.policy.read(self.policy.unrolled(rows.obs, sequences), rows.mask)
        log_ratio = distribution.log_probability(given, rows.action) - rows.log_then
        entropy = distribution.entropy(given).mean()
        advantage = rows.advantage
        if config.normalize_advantages:
            advantage = (advantage - advantage.mean()) / spread(advantage)
        clip = self._now["clip_range"]
        on_policy = policy_loss(log_ratio, advantage, clip)
        on_value = value_loss(value, rows.value_then, rows.target, clip if config.clip_values else None)
        loss = on_policy + config.vf_coef * on_value - self._now["ent_coef"] * entropy
        self._optimizer.descend(loss)
        self._remember(rows._replace(advantage=advantage))
        with torch.no_grad():
            ratio = log_ratio.exp()
            clipped = ((ratio - 1.0).abs() > clip).float().mean()
            divergence = (ratio - 1.0 - log_ratio).mean()
            return torch.stack([loss, on_policy, on_value, entropy, clipped, divergence])

    def state_dict(self) -> State:
        """As `DeepLearner`, the unfinished rollout, and what rewards are divided by."""
        state = super().state_dict() | self._trajectories.state_dict()
        return state if self._returns is None else state | self._returns.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `DeepLearner`."""
        super().load_state_dict(state)
        space, frames, distribution = self._observation_space, self.config.frame_stack, self._distribution
        layout: dict[str, Any] = {
            "obs": ((frames,) * (frames > 1) + (space.shape or ()), space.dtype),
            "action": ((distribution.parts,), np.int64 if distribution.dtype == torch.int64 else np.float32),
            "log_probability": ((), np.float32),
            "value": ((), np.float32),
        }
        if "rollout.mask" in state:
            layout["mask"] = ((distribution.size,), np.bool_)
        self._trajectories.load_state_dict(state, layout, distribution.size)
        action = np.asarray(state.get("rollout.action", np.zeros((0, distribution.parts))))
        if len(distribution.choices) and ((action < 0) | (action >= distribution.choices)).any():
            raise ValueError("the unfinished rollout is damaged")
        if self._returns is not None:
            self._returns.load_state_dict(state)
