"""What tests of studies ask for."""

from meze.runners import cli

SMALL = ["--steps", "2000", "--num-envs", "8", "--eval-episodes", "8"]


def tune(out, *flags, agent="q-learning", env="corridor", small=SMALL):
    """Begins a small study; returns its exit code."""
    return cli.main(["tune", agent, env, *small, "--jobs", "1", "--out", str(out), *flags])


def folder(out):
    """The folder of the only study there."""
    (found,) = out.glob("*/*/*/study.json")
    return found.parent
