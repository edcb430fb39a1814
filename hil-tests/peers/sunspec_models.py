"""What pysunspec2's copy of the SunSpec model definitions says of a model: its points, in their order.

Points of a group that occurs once carry the group's name, as in `PFWInj.PF`. Of a group that repeats there is one
repetition, whose offsets count from its first register.
"""

import asyncio

import sunspec2.device
from conversation import converse, say


def facts(definition, prefix, offset):
    """What a definition says of one point."""
    return {
        "name": prefix + definition["name"],
        "offset": offset,
        "size": definition["size"],
        "type": definition["type"],
        "scale": definition.get("sf"),
        "units": definition.get("units", "").strip(),
        "writable": definition.get("access") == "RW",
    }


def laid_out(definitions, prefix, offset):
    """Points one after another, and the offset behind the last."""
    found = []
    for definition in definitions:
        found.append(facts(definition, prefix, offset))
        offset += definition["size"] * definition.get("count", 1)
    return found, offset


def points(number):
    """Name, offset, size, type, scale factor, units and access of every point after ID and L."""
    group = sunspec2.device.get_model_def(number)["group"]
    found, offset = laid_out(group["points"], "", 0)
    repeated = {}
    for part in group.get("groups", []):
        if part.get("count", 1) == 1:
            more, offset = laid_out(part["points"], part["name"] + ".", offset)
            found += more
        else:
            repeated[part["name"]] = laid_out(part["points"], "", 0)[0]
    return {"points": found[2:], "repeated": repeated}


say({"ready": True})
asyncio.run(converse({"points": points}))
