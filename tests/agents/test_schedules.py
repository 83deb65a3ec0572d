import pytest
from meze.agents.schedules import Schedule


def test_goes_straight_from_start_to_end_and_stays():
    schedule = Schedule(1.0, 0.2, 8)
    assert [schedule.value(step) for step in (0, 2, 4, 8, 1_000)] == pytest.approx([1.0, 0.8, 0.6, 0.2, 0.2])
    assert schedule.value(0) == 1.0
    assert schedule.value(8) == 0.2
    assert Schedule(0.5, 0.1, 0).value(0) == 0.1


@pytest.mark.parametrize("wrong", [(float("nan"), 0, 1), (0, float("inf"), 1), (0, 1, -1)])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="schedule"):
        Schedule(*wrong)
