"""Records from strangers: a city refuses those with which a kernel could leave its tables, and no others."""

import numpy as np
import pytest
from meze.envs.city import state as codes
from meze.envs.core.batch import DISABLED, KEEP, Batch
from meze.envs.core.env import WorldEnv
from meze.envs.core.interpreted import interpreted
from meze.envs.core.vector import WorldVectorEnv

CITY = "meze.envs.city.world:City"
BUSY = {"hour": 8, "ambulance": 0.2, "jaywalk": 0.3, "pedestrians": 30, "width": 24, "height": 24}


def travelled(num_envs, num_steps, seed=0, **config):
    """Environments in the middle of their episodes, some at an end; yields after every step."""
    env = WorldVectorEnv(CITY, num_envs, 200, "NextStep", observation="index", **config)
    env.reset(seed=seed)
    expert, rng = env.reference("expert"), np.random.default_rng(seed)
    for _ in range(num_steps):
        env.step(np.where(rng.random(num_envs) < 0.7, expert(), rng.integers(4, size=num_envs)))
        yield env


@pytest.mark.parametrize(
    "config",
    [
        {"pool_size": 4},
        {"pool_size": 2, "peak_density": 0.6, **BUSY},
        {"pool_size": 2, "left_hand": True, "green": 1, "all_red": 0, "slowdown": 0.5},
        {"map": "village", "pedestrians": 30, "jaywalk": 1.0},
        {"map": "ring", "cars": 0, "pedestrians": 0},
    ],
)
def test_every_state_that_it_comes_to_passes(config):
    ended = 0
    for env in travelled(32, 300, **config):
        env.world.check_state(env.state)
        ended += env.state["done"].sum()
    assert ended > 20


def test_nobody_walks_on_a_map_without_sidewalks(tmp_path):
    rows = ["+>>>>>>>>+", *["^########v"] * 8, "+<<<<<<<<+"]
    (tmp_path / "loop.txt").write_text("\n".join(rows))
    for env in travelled(4, 20, map=str(tmp_path / "loop.txt"), min_distance=2):
        env.world.check_state(env.state)
        assert (env.state["walkers"]["cell"] == 0).all()  # as in unused slots


@pytest.fixture(scope="module")
def busy():
    """States of a busy city, of which nothing is over."""
    *_, env = travelled(64, 40, pool_size=3, **BUSY)
    return env.world, env.get_state(~env.state["done"])


def out_of_range(world):
    """Field to values that no record may have, in any slot."""
    p = world.params()
    maps, destinations, cells = p.routes.shape
    no_cell, no_slot = (-2, cells, 2**31 - 1, -(2**31)), (-1, world.state_dtype["cars"].shape[0], 2**30)
    return {
        "map": (-1, maps),
        "ask_map": (-1, maps + 1),
        "ask_hour": (-1, 25),
        "clock": (-1, 30),
        "destination": (-1, destinations),
        "start_distance": (0, -5),  # it is divided by
        "num_cars": no_slot,
        "target_cars": no_slot,
        "entries": (-1,),
        "exits": (-1,),
        "ambulance_cell": no_cell,
        "ambulance_from": no_cell,
        "ambulance_via": no_cell,
        "ambulance_heading": (-1, 4),
        "ambulance_destination": (-1, destinations),
        "ambulance_path": no_cell,
        "cars.cell": no_cell,
        "cars.came": no_cell,
        "cars.next": no_cell,
        "cars.wait": (-1, -(2**15)),
        "cars.approach": (-2, p.ways.shape[1]),
        "cars.ahead": (codes.NO_LANE + 1, 255),
        "cars.heading": (4, 255),
        "cars.turn": (3, 254),
        "cars.step": (p.ways["path"].shape[3], 255),
        "cars.asks": (codes.ASKING, codes.REFUSED, 255),
        "walkers.cell": (-1, *no_cell),
        "walkers.came": (-1, *no_cell),
        "walkers.heading": (4, 255),
        "walkers.mode": (3, 255),
        "waiting": (-1, world.state_dtype["cars"].shape[0]),
        "road": (codes.ON_ROAD_MASK, codes.STEPPING_MASK, 255),
    }


def field(records, name):
    """A field by its name; that of a nested record as `record.field`."""
    for part in name.split("."):
        records = records[part]
    return records


def put(records, name, slot, value):
    """Changes one number of the first record."""
    flat = field(records, name)[0]
    if flat.ndim:
        flat[slot] = value
    else:
        field(records, name)[0] = value


def test_every_number_out_of_range_is_refused(busy):
    world, records = busy
    wrong = out_of_range(world)
    whole_numbers = {n for n in world.state_dtype.names if world.state_dtype[n].base.kind in "iu"}
    for name, dtype in (("cars", codes.CAR), ("walkers", codes.WALKER)):
        whole_numbers |= {f"{name}.{n}" for n in dtype.names}
    # The first two are the core's; the next two are not numbers, and see below.
    assert wrong.keys() | {"rng", "elapsed", "walkers.walk", "walkers.onto"} >= whole_numbers
    rng = np.random.default_rng(0)
    for name, values in wrong.items():
        slots = field(records, name)[0].size
        for value in values:
            for slot in {0, slots - 1, *rng.integers(slots, size=3).tolist()}:
                record = records[rng.integers(len(records), size=1)]
                put(record, name, slot, value)
                with pytest.raises(ValueError, match="no state of this world: [^\n]*$"):
                    world.check_state(record)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: ("cars", 1, r["cars"][2]), "two cars in one place"),
        (lambda r: ("cars.cell", 0, r["cars"]["cell"][2]), "where the ego car is"),
        (lambda r: ("cars.cell", 0, 0), "off the road"),
        (lambda r: ("cars.cell", 1, 0), "off the road"),
        (lambda r: ("cars.step", 1, 1), "on a lane"),
        (lambda r: ("cars.approach", 1, r["cars"]["approach"][1] + 1), "cars.approach"),
        (lambda r: ("cars.ahead", 1, codes.INSIDE_JUNCTION), "what lies ahead"),
        (lambda r: ("cars.next", 1, 0), "the cell ahead"),
        (lambda r: ("cars.heading", 1, r["cars"]["heading"][1] ^ 1), "of the lane"),
        (lambda r: ("waiting", 0, r["waiting"][0] ^ 1), "at the junctions"),
        (lambda r: ("num_cars", 0, r["num_cars"] - 1), "num_cars"),
        (lambda r: ("ambulance_path", 0, r["cars"]["cell"][0]), "does not begin"),
        (lambda r: ("ambulance_cell", 0, r["cars"]["cell"][0]), "does not begin"),
        (lambda r: ("walkers.cell", 0, r["cars"]["cell"][0]), "of the cell|off the sidewalks"),
        (lambda r: ("walkers.walk", 0, r["walkers"]["walk"][0] ^ 1), "that of the cell"),
        (lambda r: ("walkers.onto", 0, r["walkers"]["onto"][0] ^ 1), "that of the cell"),
        (lambda r: ("walkers.mode", 0, codes.ON_ROAD), "leads nowhere"),
        (lambda r: ("road", r["cars"]["cell"][0], 0), "where everybody is"),
        (lambda r: ("road", 0, codes.VEHICLE), "where everybody is"),
        (lambda r: ("road", 0, codes.PERSON), "where everybody is"),
        (lambda r: ("road", -1, codes.VEHICLE), "where everybody is"),  # beyond the map
    ],
)
def test_what_does_not_fit_together_is_refused(busy, change, words):
    world, records = busy
    on_lanes = (records["cars"]["step"][:, 1:3] == 0).all(axis=1) & (records["num_cars"] > 2)
    no_siren, strolls = records["ambulance_cell"] < 0, records["walkers"]["mode"][:, 0] == codes.WALKING
    record = records[np.flatnonzero(on_lanes & no_siren & strolls)[:1]]
    world.check_state(record)
    name, slot, value = change(record[0])
    put(record, name, slot, value)
    with pytest.raises(ValueError, match=words):
        world.check_state(record)


def test_a_car_in_a_junction_must_be_on_its_way_and_have_claimed_it(busy):
    world, records = busy
    p = world.params()
    row, slot = (indices[0] for indices in np.nonzero(records["cars"]["step"]))
    e = records[row]
    cell, approach, turn, step = e["cars"][["cell", "approach", "turn", "step"]][slot].tolist()
    m = e["map"]
    path = p.ways["path"][m, approach, turn]
    assert path[step - 1] == cell
    unclaimed = e["road"][path[step]] & (0xFF ^ codes.CLAIM)
    for name, at, value in (
        ("cars.step", slot, 0),
        ("cars.step", slot, step + 1),
        ("cars.turn", slot, codes.UNDRAWN),
        ("cars.approach", slot, -1),
        ("cars.approach", slot, (approach + 1) % int((p.cells[m]["ahead"] == codes.JUNCTION_AHEAD).sum())),
        ("road", path[step], unclaimed),
    ):
        record = records[[row]]
        put(record, name, at, value)
        with pytest.raises(ValueError, match="no state of this world"):
            world.check_state(record)


def altered(world, records, rng, trials):
    """Records of which some numbers were changed to others in range, or to those of another record."""
    limits = {name: (min(v) + 1, max(v) - 1) for name, v in out_of_range(world).items() if len(v) == 2}
    for _ in range(trials):
        record, other = records[rng.integers(len(records), size=(2, 1))]
        for name in rng.choice([n for n in out_of_range(world) if n != "road"], size=rng.integers(1, 4)):
            flat, theirs = field(record, name).reshape(-1), field(other, name).reshape(-1)
            slot = rng.integers(flat.size)
            if name.startswith("cars."):
                slot %= record["num_cars"][0] + 1
            steps = (int(flat[slot]) + int(rng.choice([-1, 1, -24, 24])), *limits.get(name, ()))
            values = np.clip([*steps, theirs[slot]], *_bounds(flat.dtype))
            flat[slot] = rng.choice(values)
        yield record


def _bounds(dtype):
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def accepted(world, candidates):
    for record in candidates:
        try:
            world.check_state(record)
        except ValueError:
            continue
        yield record


@pytest.mark.slow
def test_no_record_that_passes_misleads_a_kernel(busy):
    """Python raises where compiled code would leave a table; and what has passed goes on to pass."""
    world, records = busy
    rng = np.random.default_rng(5)
    kept = np.concatenate(list(accepted(world, altered(world, records, rng, 1500))))
    assert 300 < len(kept) < 1200
    wild, few = Batch(world, len(kept)), Batch(world, 60, loop=interpreted(world))
    wild.set_state(kept)
    few.set_state(kept[:60])
    for batch, num_steps in ((few, 6), (wild, 200)):
        out = batch.outputs()
        for _ in range(num_steps):
            actions = np.where(batch.state["done"], KEEP, rng.integers(4, size=batch.num_envs))
            batch.step(actions, DISABLED, 0, out)
            world.check_state(batch.state)


def test_an_environment_refuses_and_stays_as_it_is():
    env = WorldEnv(CITY, observation="index", pool_size=2)
    env.reset(seed=1)
    before, record = env.state_hash(), env.get_state()
    record["destination"] = 32
    with pytest.raises(ValueError, match="destination is 32, and must lie in 0 .. 31"):
        env.set_state(record)
    assert env.state_hash() == before
