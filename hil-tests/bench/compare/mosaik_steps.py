"""How late mosaik begins the steps of one simulator in its real-time mode (`rt_factor`).

mosaik reads `perf_counter`, which is CLOCK_MONOTONIC on Linux, as a simulator's coroutine starts, and keeps
that as its `rt_start`. From there the grid is absolute: time t is due at rt_start + t * rt_factor *
time_resolution. Lateness is counted from that very reading. The step at time 0 begins at once and is left
out; those counted are the steps at 1 to N periods.
"""

import warnings

import mosaik
import mosaik_api_v3
from block import NS_PER_MS, arguments, now_ns, write

# Once in every unit of its time mosaik asks whether the next step is due, and rounds the time that has passed
# up to whole units: a step may begin up to one unit early. With units of a whole period it begins anywhere in
# the period before its own, with units of 1 ms still up to 1 ms early, with 100 us now and then. Smaller
# units only make steps late. From about 20 us up asyncio sleeps between two questions, and that in whole
# milliseconds: up to 1.1 ms late. Below, the unit is over before the question is answered, and mosaik asks
# without a pause. It occupies a core with that, but at 10 ms the median is half of the other, and the tail is
# shorter at both cadences. What remains grows with the period, for every question leaves a waiter behind, and
# a step goes through all of them before it begins.
UNITS_PER_MS = 1000


class Steps(mosaik_api_v3.Simulator):
    """Notes when each of its steps begins."""

    def __init__(self):
        super().__init__(
            {
                "api_version": "3.0",
                "type": "time-based",
                "models": {"Model": {"public": True, "params": [], "attrs": []}},
            }
        )
        self.began_ns = []

    def init(self, sid, time_resolution, units_per_step, began_ns):
        self.units_per_step, self.began_ns = units_per_step, began_ns
        return self.meta

    def create(self, num, model):
        return [{"eid": f"{model}{number}", "type": model} for number in range(num)]

    def step(self, time, inputs, max_advance):
        self.began_ns.append(now_ns())
        return time + self.units_per_step


def main():
    given = arguments("Measures mosaik.")
    units_per_step = given.period_ms * UNITS_PER_MS
    began_ns = []
    world = mosaik.World(
        {"Steps": {"python": "__main__:Steps"}},
        time_resolution=0.001 / UNITS_PER_MS,
        skip_greetings=True,
        configure_logging=False,
    )
    # In the process of mosaik, which spares every step a message over TCP.
    world.start("Steps", units_per_step=units_per_step, began_ns=began_ns).Model()
    # mosaik warns of every step that does not end before it was due, which is all of them.
    warnings.simplefilter("ignore")
    world.run(until=given.steps * units_per_step + 1, rt_factor=1.0, print_progress=False, shutdown=False)
    (runner,) = world.compile(use_cache=True).values()
    start_ns = round(runner.rt_start * 1e9)
    world.shutdown()
    period_ns = given.period_ms * NS_PER_MS
    lateness_ns = [began - start_ns - number * period_ns for number, began in enumerate(began_ns)]
    write(given.json, "mosaik", "rt_factor", given.period_ms, lateness_ns[1:])


if __name__ == "__main__":
    main()
