"""A world of others that is measured in its own way: the corridor, and the ground that is lost there."""

from meze.envs.core import Measure, register_world
from toy_world import Corridor


class Alley(Corridor):
    measures = (
        Measure(
            "slipped",
            "mean",
            "ground lost",
            "share of steps that failed",
            share=True,
            better=False,
            progress=True,
        ),
        Measure("hope", "max", better=True),
    )


register_world(
    id="mine/Alley-v0",
    name="alley",
    world="alley_world:Alley",
    config="toy_world:CorridorConfig",
    max_episode_steps=40,
)
