"""Balanced networks before pandapower: `solve` builds each of them, runs its Newton method and says what the voltages are."""

import asyncio
import math

import pandapower as pp

from conversation import converse, say

FREQUENCY_HZ = 50.0


def build(case):
    net = pp.create_empty_network(f_hz=FREQUENCY_HZ, sn_mva=1.0)
    for bus in case["buses"]:
        pp.create_bus(net, vn_kv=bus / 1e3)
    pp.create_ext_grid(net, 0, vm_pu=case["source_pu"])
    for line in case["lines"]:
        pp.create_line_from_parameters(
            net,
            line["from"],
            line["to"],
            length_km=1.0,
            r_ohm_per_km=line["r"],
            x_ohm_per_km=line["x"],
            c_nf_per_km=line["b"] / (2 * math.pi * FREQUENCY_HZ) * 1e9,
            max_i_ka=1.0,
        )
    for unit in case["transformers"]:
        r, x = unit["r"], unit["x"]
        pp.create_transformer_from_parameters(
            net,
            unit["from"],
            unit["to"],
            sn_mva=unit["va"] / 1e6,
            vn_hv_kv=unit["high"] / 1e3,
            vn_lv_kv=unit["low"] / 1e3,
            vk_percent=math.hypot(r, x),
            vkr_percent=r,
            pfe_kw=0.0,
            i0_percent=0.0,
            shift_degree=30.0 * unit["clock"],
            tap_side="lv",
            tap_neutral=0,
            tap_min=-8,
            tap_max=8,
            tap_pos=unit["position"],
            tap_step_percent=unit["step"] * 100,
            tap_step_degree=0.0,
            tap_changer_type="Ratio",
        )
    for load in case["loads"]:
        pp.create_load(
            net,
            load["bus"],
            p_mw=-load["w"] / 1e6,
            q_mvar=-load["var"] / 1e6,
            const_z_p_percent=load["z"] * 100,
            const_i_p_percent=load["i"] * 100,
            const_z_q_percent=load["z"] * 100,
            const_i_q_percent=load["i"] * 100,
        )
    return net


def solve(cases):
    answers = []
    for case in cases:
        net = build(case)
        pp.runpp(
            net,
            algorithm="nr",
            calculate_voltage_angles=True,
            tolerance_mva=1e-10,
            max_iteration=50,
            trafo_model="pi",
            voltage_depend_loads=True,
            numba=False,
            init="dc",
        )
        answers.append([list(pair) for pair in zip(net.res_bus.vm_pu, net.res_bus.va_degree)])
    return {"cases": answers}


async def main():
    say({"version": pp.__version__})
    await converse({"solve": solve})


if __name__ == "__main__":
    asyncio.run(main())
