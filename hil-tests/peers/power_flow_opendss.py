"""Networks before OpenDSS: `solve` runs scripts and says what the voltages are; `elements` says what a script is made of."""

import asyncio
import time

import numpy
import opendssdirect as dss

from conversation import converse, say


def run(script):
    dss.Text.Commands(script)
    # What floats is held to earth by so little that rounding may move it more than the tolerance of the script.
    for tolerance in ("1e-8", "1e-7"):
        if not dss.Solution.Converged():
            dss.Text.Commands(f"Set Tolerance={tolerance}\nSolve")
    if not dss.Solution.Converged():
        raise RuntimeError("OpenDSS does not converge")


def voltages():
    """By node name, real and imaginary part in V."""
    values = dss.Circuit.AllBusVolts()
    return dict(zip(dss.Circuit.AllNodeNames(), zip(values[::2], values[1::2])))


def solve(scripts):
    answers = []
    for script in scripts:
        run(script)
        # In kW and kvar, negative when the sources give.
        real, reactive = dss.Circuit.TotalPower()
        answers.append({"voltages": voltages(), "sources_va": [-real * 1e3, -reactive * 1e3]})
    return {"cases": answers}


def each(names, select):
    for name in names:
        select(name)
        yield name


def square(values):
    matrix = numpy.array(values[::2]) + 1j * numpy.array(values[1::2])
    return matrix.reshape((int(round(len(matrix) ** 0.5)),) * 2)


def spelled(matrix):
    return [[[entry.real, entry.imag] for entry in row] for row in matrix]


def elements(script):
    """Power delivery elements as primitive admittances, the source and the loads as they are, the voltages."""
    run(script)
    deliveries, loads = [], []
    for name in each(dss.Circuit.AllElementNames(), dss.Circuit.SetActiveElement):
        kind = name.split(".")[0].lower()
        if kind not in ("line", "transformer", "capacitor", "reactor"):
            continue
        conductors = dss.CktElement.NumConductors()
        order = dss.CktElement.NodeOrder()
        buses = [bus.split(".")[0].lower() for bus in dss.CktElement.BusNames()]
        terminals = [
            [buses[terminal], order[terminal * conductors + conductor]]
            for terminal in range(dss.CktElement.NumTerminals())
            for conductor in range(conductors)
        ]
        deliveries.append({"name": name, "terminals": terminals, "y": spelled(square(dss.CktElement.YPrim()))})
    for _ in each(dss.Loads.AllNames(), dss.Loads.Name):
        bus, *nodes = dss.CktElement.BusNames()[0].split(".")
        loads.append({
            "bus": bus.lower(),
            "nodes": [int(node) for node in nodes] or [1, 2, 3],
            "phases": dss.Loads.Phases(),
            "delta": dss.Loads.IsDelta(),
            "kv": dss.Loads.kV(),
            "kw": dss.Loads.kW(),
            "kvar": dss.Loads.kvar(),
            "model": int(dss.Loads.Model()),
        })
    dss.Vsources.First()
    source = square(dss.CktElement.YPrim())[:3, :3]
    impedance = numpy.linalg.inv(source)
    own, mutual = impedance[0, 0], impedance[0, 1]
    spell = lambda z: [z.real, z.imag]
    bases = {}
    for name in each(dss.Circuit.AllBusNames(), dss.Circuit.SetActiveBus):
        bases[name.lower()] = dss.Bus.kVBase() * 3**0.5
    return {
        "deliveries": deliveries,
        "loads": loads,
        "source": {
            "bus": dss.CktElement.BusNames()[0].split(".")[0].lower(),
            "kv": dss.Vsources.BasekV(),
            "pu": dss.Vsources.PU(),
            "angle": dss.Vsources.AngleDeg(),
            "positive": spell(own - mutual),
            "zero": spell(own + 2 * mutual),
        },
        "bases_kv": bases,
        "nodes": dss.Circuit.AllNodeNames(),
        "voltages": voltages(),
    }


def timed(solutions, tolerance):
    """Solutions of the present circuit per second, each with other loads; the time is that of OpenDSS's own calls."""
    dss.Text.Command(f"Set Tolerance={tolerance}")
    names = dss.Loads.AllNames()
    powers = [dss.Loads.kW() for _ in each(names, dss.Loads.Name)]
    iterations = 0
    taken = 0.0
    for turn in range(solutions):
        factor = 1.0 + 0.1 * ((turn % 7) - 3) / 3
        began = time.perf_counter()
        # One call instead of one for each load.
        dss.Solution.LoadMult(factor)
        dss.Solution.Solve()
        taken += time.perf_counter() - began
        iterations += dss.Solution.Iterations()
    if not dss.Solution.Converged():
        raise RuntimeError("OpenDSS does not converge")
    dss.Solution.LoadMult(1.0)
    return {"per_second": solutions / taken, "iterations": iterations / solutions, "loads": len(powers)}


def load(script):
    run(script)
    return {"nodes": len(dss.Circuit.AllNodeNames()), "voltages": voltages()}


async def main():
    dss.Basic.AllowForms(False)
    dss.Basic.AllowEditor(False)
    say({"version": dss.Basic.Version()})
    await converse({"solve": solve, "elements": elements, "load": load, "timed": timed})


if __name__ == "__main__":
    asyncio.run(main())
