"""pysunspec2 as a client of an inverter at 127.0.0.1: `sunspec_client.py PORT`."""

import asyncio
import sys

import sunspec2.modbus.client as client
from conversation import converse, say

inverter = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=int(sys.argv[1]), timeout=10)


def model(number):
    """The model of this number, as scanned."""
    return inverter.models[number][0]


def scan():
    """The models in their order, with their lengths."""
    inverter.scan(connect=False)
    found = [(one.model_addr, one.model_id, one.model_len) for one in inverter.model_list]
    return {"base": inverter.base_addr, "models": [[number, length] for _, number, length in sorted(found)]}


def read(number, points):
    """Points after scaling; null where not implemented."""
    model(number).read()
    return {name: getattr(model(number), name).cvalue for name in points}


def repeated(number, group, points):
    """Points of each repetition of a group, after scaling; null where not implemented."""
    model(number).read()
    return [{name: getattr(one, name).cvalue for name in points} for one in getattr(model(number), group)]


def implemented(number):
    """The names of all points that are implemented."""
    model(number).read()
    return [name for name, point in model(number).points.items() if point.value is not None]


def write(number, points):
    """Writes points one by one, in their order, in units after scaling."""
    for name, value in points:
        point = getattr(model(number), name)
        point.cvalue = int(value) if float(value).is_integer() else value
        point.write()
    return {}


inverter.connect()
say({"ready": True})
asyncio.run(converse({"scan": scan, "read": read, "repeated": repeated, "implemented": implemented, "write": write}))
inverter.disconnect()
