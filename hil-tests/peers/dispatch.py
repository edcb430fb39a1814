"""Economic dispatch by HiGHS (highspy), formulated on its own from the problem as data.

Every storage has a binary variable in every step (charge or discharge), and so has the community (take or give). For
benchmarks these can be left out. Power is positive towards the grid of the community.
"""

import asyncio
import os
import sys
import time

import highspy
import numpy as np
from conversation import converse, say

INFINITY = highspy.kHighsInf


class Model:
    """Columns and rows of a mixed-integer programme that is minimised."""

    def __init__(self):
        self.cost, self.lower, self.upper, self.integer = [], [], [], []
        self.row_lower, self.row_upper, self.starts, self.indices, self.values = [], [], [0], [], []
        self.constant = 0.0

    def column(self, lower, upper, cost=0.0, integer=False):
        self.cost.append(cost)
        self.lower.append(lower)
        self.upper.append(INFINITY if upper is None else upper)
        self.integer.append(integer)
        return len(self.cost) - 1

    def row(self, lower, terms, upper):
        """lower <= sum of factor * column <= upper"""
        merged = {}
        for column, factor in terms:
            merged[column] = merged.get(column, 0.0) + factor
        self.indices.extend(merged.keys())
        self.values.extend(merged.values())
        self.starts.append(len(self.indices))
        self.row_lower.append(-INFINITY if lower is None else lower)
        self.row_upper.append(INFINITY if upper is None else upper)

    def lp(self):
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cost), len(self.row_lower)
        lp.col_cost_ = np.array(self.cost)
        lp.col_lower_, lp.col_upper_ = np.array(self.lower), np.array(self.upper)
        lp.row_lower_, lp.row_upper_ = np.array(self.row_lower), np.array(self.row_upper)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.array(self.starts)
        lp.a_matrix_.index_ = np.array(self.indices)
        lp.a_matrix_.value_ = np.array(self.values)
        lp.offset_ = self.constant
        if any(self.integer):
            kinds = highspy.HighsVarType
            lp.integrality_ = [kinds.kInteger if it else kinds.kContinuous for it in self.integer]
        return lp


def formulate(case, binaries):
    model, steps = Model(), len(case["fixed_kw"])
    hours = [case["step_h"] * part for part in case["parts"]]
    into = [[] for _ in range(steps)]  # terms of the power into the community, by step
    powers = []  # terms of the power of each storage, by step
    known = list(case["fixed_kw"])
    most_in = [0.0] * steps
    most_out = [0.0] * steps
    for storage in case["storages"]:
        powers.append([])
        simces = case["simces"]
        energy = None
        for t, h in enumerate(hours):
            charge = model.column(0, storage["charge_max_kw"])
            discharge = model.column(0, storage["discharge_max_kw"], h * storage["wear_eur_per_kwh"])
            if binaries:
                way = model.column(0, 1, integer=True)
                model.row(None, [(charge, 1), (way, -storage["charge_max_kw"])], 0)
                model.row(None, [(discharge, 1), (way, storage["discharge_max_kw"])], storage["discharge_max_kw"])
            powers[-1].append([(discharge, 1), (charge, -1)])
            most_in[t] += storage["discharge_max_kw"]
            most_out[t] += storage["charge_max_kw"]
            if simces and t == steps - 1:
                break
            after = model.column(0, storage["capacity_kwh"])
            kept = (1 - storage["self_discharge"]) ** case["parts"][t] if simces else 1
            lost = 0 if simces else storage["self_discharge"] * storage["capacity_kwh"] * h
            terms = [(after, 1), (charge, -storage["charge_efficiency"] * h)]
            terms.append((discharge, h / storage["discharge_efficiency"]))
            if energy is None:
                start = kept * storage["initial_kwh"] - lost
                model.row(start, terms, start)
            else:
                model.row(-lost, terms + [(energy, -kept)], -lost)
            energy = after
        if energy is not None:
            model.row(storage["least_kwh"], [(energy, 1)], storage["most_kwh"])
            if storage["penalty"] is not None:
                weight, target = storage["penalty"]
                away = model.column(0, None, weight)
                model.row(-target, [(away, 1), (energy, -1)], None)
                model.row(target, [(away, 1), (energy, 1)], None)
    trade = [([], []) for _ in range(steps)]
    for market in case["markets"]:
        for t, (step, h) in enumerate(zip(market, hours)):
            known[t] += step["agreed_kw"]
            model.constant += h * step["agreed_kw"] * step["agreed_eur_per_kwh"]
            for sign, segments in ((1, step["take"]), (-1, step["give"])):
                for limit, price in segments:
                    column = model.column(0, limit, sign * h * price)
                    into[t].append((column, sign))
                    trade[t][0 if sign > 0 else 1].append(column)
    for t in range(steps):
        model.row(-known[t], into[t] + sum((power[t] for power in powers), []), -known[t])
        if binaries:
            take, give = max(most_out[t] - known[t], 0), max(most_in[t] + known[t], 0)
            way = model.column(0, 1, integer=True)
            model.row(None, [(it, 1) for it in trade[t][0]] + [(way, -take)], 0)
            model.row(None, [(it, 1) for it in trade[t][1]] + [(way, give)], give)
    for regulation in case["regulations"]:
        for n, reference in enumerate(regulation["reference_kw"]):
            t, size = regulation["first"] + n, regulation["size_kw"][n]
            terms = sum((powers[it][t] for it in regulation["storages"]), [])
            if regulation["up"]:
                model.row(reference + size, terms, None)
            else:
                model.row(None, terms, reference - size)
    for power, kw in zip(powers, case["first_kw"] or []):
        model.row(kw, power[0], kw)
    return model


def solve(case, binaries):
    lp = formulate(case, binaries).lp()
    solver = highspy.Highs()
    for option, value in (
        ("output_flag", False),
        ("log_to_console", False),
        ("threads", 1),
        ("mip_rel_gap", 1e-9),
        ("mip_abs_gap", 1e-9),
        ("mip_feasibility_tolerance", 1e-9),
        ("primal_feasibility_tolerance", 1e-9),
    ):
        solver.setOptionValue(option, value)
    begun = time.perf_counter()
    solver.passModel(lp)
    solver.run()
    taken = time.perf_counter() - begun
    status, kinds = solver.getModelStatus(), highspy.HighsModelStatus
    if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
        return {"infeasible": True, "taken_s": taken}
    if status != kinds.kOptimal:
        raise RuntimeError(f"HiGHS ended with {status}")
    return {"cost_eur": solver.getInfo().objective_function_value, "taken_s": taken}


def solve_all(cases, binaries):
    return {"answers": [solve(case, binaries) for case in cases]}


# HiGHS greets on standard output, which is for answers.
sys.stdout = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
say({"ready": True})
asyncio.run(converse({"solve": solve_all}))
