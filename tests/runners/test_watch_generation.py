"""A whole generation at once: everybody plays the same episode, and who is through waits for the others."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv
from meze.runners import cli
from meze.runners.run.folder import RunDir
from meze.runners.run.rollout import Batches, evaluate_at_once
from meze.runners.show.generation import GenerationPolicy, generation_viewer
from meze.runners.show.show import Show
from meze.runners.show.sources import WatchSettings, find_source
from run_files import only_run
from toy_world import Corridor, CorridorRenderer

LIMIT = 40


@pytest.fixture(scope="module", params=["genetic", "neat"])
def run(request, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    sizes = ["--agent.elites", "2"] if request.param == "genetic" else ["--agent.species", "3"]
    args = ["train", request.param, "corridor", "--generations", "4", "--agent.population-size", "24", *sizes]
    assert cli.main([*args, "--eval-episodes", "8", "--out", str(out)]) == 0
    return only_run(out)


def searcher_of(run: Path, generation: int):
    folder = RunDir.open(run)
    config = folder.config()
    searcher = config.make_agent(config.make_env(1, AutoresetMode.DISABLED))
    folder.load_learner(searcher, folder.checkpoint_path(generation))
    return searcher


def shown(policy, seed=50):
    env = WorldVectorEnv("toy_world:Corridor", 24, LIMIT, AutoresetMode.NEXT_STEP)
    return Show(env, policy, lambda k: seed + k, together=True)


def test_everybody_plays_the_same_episode_as_if_alone(run) -> None:
    searcher = searcher_of(run, 3)
    policy = GenerationPolicy(searcher)
    assert (np.diff(policy.fitness) <= 0).all() and policy.fitness[0] == searcher.fitness.max()
    show = shown(policy)
    ranked = np.argsort(-searcher.fitness, kind="stable")
    waited = 0
    for k in range(3):
        last = show.moment
        assert (last.episodes == k).all() and not last.ended.any()
        while not show.moment.ended.all():
            show.forward()
            moment, over = show.moment, last.ended
            waited += int(over.sum())
            for name in ("records", "obs", "returns", "steps", "ended"):
                assert np.array_equal(getattr(moment, name)[over], getattr(last, name)[over]), name
            last = moment
        assert show.finished == k + 1
        alone = evaluate_at_once(
            Batches(show.env.unwrapped.world, 24, LIMIT),
            lambda rows: searcher.policy_of(searcher.population, ranked[rows]),
            [50 + k] * 24,
        )
        assert np.array_equal(last.returns, alone.measures["return"])
        assert np.array_equal(last.steps, alone.measures["length"])
        show.next_episode()
    assert waited > 10


def test_each_row_shows_the_values_of_its_own_genome(run) -> None:
    searcher = searcher_of(run, 3)
    moment = shown(GenerationPolicy(searcher)).moment
    ranked = np.argsort(-searcher.fitness, kind="stable")
    own = searcher.policy_of(searcher.population, ranked).action_values(moment.obs)
    if own is None:  # genomes that are tables have none
        assert moment.values is None
    else:
        assert len(np.unique(own, axis=0)) > 1 and (moment.values == own).all()


def test_ghosts_are_those_who_still_play_and_the_picture_follows_the_furthest(run, monkeypatch) -> None:
    drawn = []

    class Ghosts(CorridorRenderer):
        draws = ("ghosts",)

        def draw(self, state, i=0, *, phase=1.0, hud=None, ghosts=()):
            drawn.append((len(state), i, list(ghosts), hud))
            return super().draw(state, i)

    monkeypatch.setattr(Corridor, "renderer", lambda self: Ghosts())
    source = find_source([str(run)])
    env, show, viewer = generation_viewer(
        source, source.env_config, WatchSettings(population=True, checkpoint="2")
    )
    searcher = searcher_of(run, 2)
    while not show.moment.ended.all():
        assert len(viewer.view().pictures) == 1
        rows, leader, ghosts, hud = drawn.pop()
        playing = np.flatnonzero(~show.moment.ended).tolist()
        returns = show.moment.returns
        assert rows == 24 and ghosts == playing and leader in playing
        assert returns[leader] == returns[playing].max() and hud["followed"] == "the furthest"
        assert hud["generation"] == "2" and hud["playing"] == f"{len(playing)} of 24"
        assert hud["fitness"] == f"{np.sort(searcher.fitness)[::-1][leader]:.2f}"
        show.forward()
    assert len(viewer.view().pictures) == 1  # the last one's end
    env.close()


def test_a_key_follows_one_after_another_by_rank(run) -> None:
    source = find_source([str(run)])
    env, show, viewer = generation_viewer(source, source.env_config, WatchSettings(population=True))
    furthest, followed = viewer.chosen, []
    for _ in range(len(show.moment.obs)):
        viewer.look_on()
        followed.append(viewer.chosen)
    assert followed == list(range(len(show.moment.obs)))
    viewer.look_on()
    assert viewer.chosen == furthest
    viewer.look_on()
    while not show.moment.ended[0]:
        assert viewer.chosen == 0
        show.forward()
    assert viewer.chosen != 0 or show.moment.ended.all()  # who is through is not followed any more
    env.close()


def test_without_ghosts_the_fittest_are_side_by_side(run, tmp_path) -> None:
    target = tmp_path / "generation.gif"
    assert cli.main(["watch", str(run), "--population", "--envs", "6", "--record", str(target)]) == 0
    frames = list(iio.imiter(target))
    assert len(frames) > 1  # frames that are equal are one
    source = find_source([str(run)])
    env, show, viewer = generation_viewer(source, source.env_config, WatchSettings(population=True))
    view = viewer.view(1.0, True)
    assert len(view.pictures) == len(view.captions) == len(show.moment.obs) == 16
    env.close()


def test_an_earlier_generations_best_is_shown(run, tmp_path) -> None:
    source = find_source([str(run)])
    env = WorldVectorEnv("toy_world:Corridor", 5, LIMIT, observation=source.env_config.observation)
    obs, info = env.reset(seed=3)
    for generation in (1, 3):
        policy = source.act(env, WatchSettings(checkpoint=str(generation))).policy
        wanted = searcher_of(run, generation).policy.act(obs, explore=False, mask=info["action_mask"])[0]
        assert np.array_equal(policy.act(obs, explore=False, mask=info["action_mask"])[0], wanted)
    args = ["watch", str(run), "--checkpoint", "1", "--record", str(tmp_path / "one.gif"), "--steps", "3"]
    assert cli.main(args) == 0


def test_what_is_not_there_is_told_in_one_line(run, tmp_path, capsys) -> None:
    for args, words in (
        ([str(run), "--checkpoint", "9"], "checkpoint takes best, newest, or one of 1, 2, 3, 4; got 9"),
        ([str(run), "--checkpoint", "2", "--follow"], "--follow takes the newest checkpoint, not 2"),
        (["random", "corridor", "--population"], "--population is for runs of searchers"),
    ):
        assert cli.main(["watch", *args, "--record", str(tmp_path / "x.gif")]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
