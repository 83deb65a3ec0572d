"""The table of kinds of agents: complete, and true of the settings and runs that it names."""

import dataclasses

import pytest
from meze.agents import registry
from meze.agents.registry import agent_specs
from meze.runners.run.rollout import Rollout
from meze.runners.setup.kinds import KINDS, ImitationSettings, SearchSettings, TrainSettings, settings_class


def names_of(settings):
    return [field.name for field in dataclasses.fields(settings)]


def test_whoever_is_trained_has_a_row_of_both_tables():
    assert set(KINDS) == {name for name, kind in registry.KINDS.items() if kind.is_trained}


@pytest.mark.parametrize("name", KINDS)
def test_a_row_is_true(name):
    kind = KINDS[name]
    assert all(hasattr(kind.run_class(), part) for part in ("advance", "save", "compare", "caveats", "notes"))
    assert kind.rollout is None or issubclass(kind.rollout_class(), Rollout)
    for settings in filter(None, (kind.settings, kind.on_device)):
        may_change = names_of(settings.resume)
        assert may_change[0] == kind.length and set(may_change) <= set(names_of(settings))
        assert ("device" in may_change) == ("device" in names_of(settings))


def test_a_device_may_be_chosen_where_torch_computes_step_by_step():
    chosen = {
        spec.name for spec in agent_specs() if spec.is_trained and "device" in names_of(settings_class(spec))
    }
    sb3 = {f"sb3-{name}" for name in ("ppo", "a2c", "recurrent-ppo", "dqn", "sac", "td3")}
    assert chosen == {"dqn", "pqn", "ppo"} | sb3


def test_runs_end_after_so_many_transitions():
    assert TrainSettings(steps=10).within(700) == {"steps": 700}
    asked_enough = ImitationSettings(steps=500)
    assert asked_enough.within(700) == {"steps": 500} and asked_enough.within(300) == {"steps": 300}
    search = SearchSettings().within(700)
    assert search["max_steps"] == 700 and dataclasses.replace(SearchSettings(), **search).generations > 10**6
