"""From a recording to a data set of Minari's, for offline learning with other libraries."""

from __future__ import annotations

import copy
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from ...agents.spaces import describe
from ...checking import needed
from ..setup.files import read_json
from ..setup.foreign import arguments_of
from ..setup.resolve import Environment, environment_of, make_vector
from ..setup.settings import from_plain, to_plain
from .recording import Recorded, read_recorded


def write_minari(folder: Path, root: Path | None = None, env_id: str | None = None) -> tuple[str, Path, Any]:
    """Writes a recording as a data set: its name is the folder's.

    Args:
        folder: the recording's.
        root: where Minari's data sets lie; None: where Minari itself looks, `MINARI_DATASETS_PATH` or
            `~/.minari/datasets`.
        env_id: the environment as the caller named it; needed where it lies in another package.

    Returns:
        The data set's id, its folder, and the data set as Minari reads it.

    Raises:
        ValueError: one line, when the recording is damaged, or does not hold all that is needed.
    """
    with needed("meze export --to minari", "minari"):
        import h5py  # noqa: F401 what Minari keeps episodes in
        import minari
        from minari.dataset.minari_storage import MinariStorage
        from minari.storage.datasets_root_dir import get_dataset_path
    recorded = read_recorded(folder)
    if recorded.terminated is None or recorded.final is None:
        raise ValueError(
            f"{folder} does not tell how episodes ended, as older recordings do not; collect it again"
        )
    environment, config, players = _recorded_in(folder, env_id)
    with closing(make_vector(environment, config, 1, AutoresetMode.SAME_STEP)) as env:
        spaces = env.single_observation_space, env.single_action_space
    if spaces[0].shape != recorded.obs.shape[2:] or spaces[0].dtype != recorded.obs.dtype:
        raise ValueError(f"{folder} does not hold observations of {describe(spaces[0])}")
    name = f"{re.sub(r'[^-_a-zA-Z0-9]', '-', folder.resolve().name)}-v0"
    target = get_dataset_path(name) if root is None else root.resolve() / name
    if target.exists():
        raise ValueError(f"{target} is there already; --out takes another folder")
    (target / "data").mkdir(parents=True)
    facts = {
        "dataset_id": name,
        "minari_version": minari.__version__,
        "algorithm_name": players,
        "description": f"Recorded by `meze collect {environment.id}`.",
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an environment that can't be named in JSON
            spec = _spec(environment, config)
            # Pictures would be kept as JPEG, which changes them.
            storage = MinariStorage.new(target / "data", *spaces, spec, jpeg_encoding=False)
        storage.update_metadata(facts)
        storage.update_episodes(_episodes(recorded))
    except BaseException:
        shutil.rmtree(target)
        raise
    return name, target, minari.MinariDataset(storage)


def _recorded_in(folder: Path, env_id: str | None) -> tuple[Environment, Any, str]:
    """The environment of a recording, its settings, and who played."""
    file = folder / "data.json"
    plain = read_json(file)
    try:
        own, settings, players = str(plain["env"]["id"]), plain["env"]["config"], plain["run"]["policies"]
        who = ", ".join(map(str, players))
    except (KeyError, TypeError):
        raise ValueError(f"{file} was cut short or altered") from None
    environment = environment_of(folder, own, env_id)
    return environment, from_plain(environment.config, settings, f"{file}: env"), who


def _spec(environment: Environment, config: Any) -> Any:
    """With what Gymnasium makes the environment again; None for a class that nobody registered."""
    spec = copy.deepcopy(gym.registry.get(environment.id.rpartition(":")[2]))
    if spec is not None:
        spec.kwargs |= to_plain(config) if environment.world else arguments_of(config, environment.id)
    return spec


def _episodes(recorded: Recorded) -> Iterator[Any]:
    """Episode after episode of each stream; the last one may have been cut off by the end."""
    from minari.data_collector.episode_buffer import EpisodeBuffer

    assert recorded.final is not None and recorded.terminated is not None
    cut = recorded.cut
    number = np.cumsum(cut).reshape(cut.shape) - 1  # of the row of `final` after a step
    for stream in range(cut.shape[1]):
        begin = 0
        for last in np.flatnonzero(cut[:, stream]):
            steps = slice(begin, last + 1)
            begin = last + 1
            final = recorded.final[number[last, stream]]
            ends = np.zeros(begin - steps.start, np.bool_)
            terminated, truncated = ends.copy(), ends.copy()
            terminated[-1] = recorded.terminated[last, stream]
            truncated[-1] = not terminated[-1]
            infos = {"cost": recorded.cost, "advice": recorded.advice, **recorded.told}
            yield EpisodeBuffer(
                observations=np.concatenate([recorded.obs[steps, stream], final[None]]),  # type: ignore[arg-type]
                actions=np.array(recorded.action[steps, stream]),  # type: ignore[arg-type]
                rewards=np.array(recorded.reward[steps, stream]),  # type: ignore[arg-type]
                terminations=terminated,  # type: ignore[arg-type]
                truncations=truncated,  # type: ignore[arg-type]
                infos={name: np.array(each[steps, stream]) for name, each in infos.items()},
            )
