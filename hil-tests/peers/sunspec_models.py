"""What pysunspec2's copy of the SunSpec model definitions says of a model: its points, in their order.

Points of a group that occurs once carry the group's name, as in `PFWInj.PF`; groups that repeat are left out.
"""

import asyncio

import sunspec2.device
from conversation import converse, say


def points(number):
    """Name, offset, size, type, scale factor and access of every point after ID and L."""
    model = sunspec2.device.Model(number)
    groups = [("", model)]
    groups += [(f"{name}.", group) for name, group in model.groups.items() if not isinstance(group, list)]
    found = []
    for prefix, group in groups:
        for name, point in group.points.items():
            if not prefix and name in ("ID", "L"):
                continue
            definition = point.pdef
            found.append(
                {
                    "name": prefix + name,
                    "offset": point.offset,
                    "size": definition["size"],
                    "type": definition["type"],
                    "scale": definition.get("sf"),
                    "writable": definition.get("access") == "RW",
                }
            )
    return {"points": found}


say({"ready": True})
asyncio.run(converse({"points": points}))
