"""`meze watch` shows how a solver searches before it places its first kiosk."""

from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv
from meze.runners import cli
from meze.runners.run.rollout import ReferencePolicy
from meze.runners.show.show import Show
from PIL import Image


def test_a_search_comes_before_the_first_step_and_changes_nothing():
    kiosk = "meze.envs.kiosk.world:Kiosk"
    env = WorldVectorEnv(kiosk, 1, autoreset_mode=AutoresetMode.DISABLED, source="village")
    policy = ReferencePolicy(env.reference("k-means"))
    sights = env.world.references()["k-means"].sights
    show = Show(env, policy, lambda k: k, sights=sights)
    beginning = env.get_state()
    count = len(list(sights(beginning)))
    assert count > 1
    for _ in range(count):
        show.forward()
        assert show.moment.steps[0] == 0 and show.moment.marks is not None
        assert env.get_state().tobytes() == beginning.tobytes()
    shown = set(show.moment.records["kiosks"][0].tolist())
    for step in range(1, 4):
        show.forward()
        assert show.moment.steps[0] == step and show.moment.marks is None
    assert len(shown) == 3 and show.finished == 1
    show.forward()  # the next episode begins with its search again
    assert show.moment.steps[0] == 0 and show.moment.marks is not None


def test_watching_a_swap_search(tmp_path):
    path = tmp_path / "swaps.gif"
    args = ["watch", "interchange", "kiosk", "--env.source", "village", "--speed", "20"]
    assert cli.main([*args, "--record", str(path)]) == 0
    with Image.open(path) as picture:
        assert picture.n_frames > 5
