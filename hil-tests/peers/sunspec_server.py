"""An inverter's SunSpec registers, laid out by pysunspec2 and served by pymodbus at 127.0.0.1.

`sunspec_server.py IMAGE`, with IMAGE the JSON text of {"base": ADDRESS, "models": [{"id": N, "points": {NAME: RAW}}]}.
Points are given as they stand in the registers, without scaling; the others are not implemented. Nothing happens
behind the registers: what is written stays.
"""

import asyncio
import json
import struct
import sys

import sunspec2.device
from conversation import converse, say
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

UNIT = 1
READ_HOLDING_REGISTERS = 3


def registers(data):
    """Bytes as registers."""
    return list(struct.unpack(f">{len(data) // 2}H", data))


class Image:
    """The register map, and where each model begins."""

    def __init__(self, base, models):
        self.base = base
        self.registers = registers(b"SunS")
        self.begins = {}
        for entry in models:
            model = sunspec2.device.Model(entry["id"])
            for name, value in entry["points"].items():
                getattr(model, name).value = value
            self.begins[entry["id"]] = base + len(self.registers)
            self.registers += registers(model.get_mb())
        self.registers += [0xFFFF, 0]

    def server(self):
        """A server that is not listening yet."""
        data = SimData(self.base, values=self.registers, datatype=DataType.REGISTERS)
        return ModbusTcpServer(SimDevice(UNIT, simdata=[data]), address=("127.0.0.1", 0))


async def main():
    image = Image(**json.loads(sys.argv[1]))
    server = image.server()

    async def held(number, point):
        """What a point holds now, without scaling."""
        model = sunspec2.device.Model(number)
        begin = image.begins[number]
        values = await server.async_getValues(UNIT, READ_HOLDING_REGISTERS, begin, model.len)
        model.set_mb(struct.pack(f">{len(values)}H", *values))
        return {"value": getattr(model, point).value}

    async def change(number, point, value):
        """Makes a point hold another value, as the device itself would."""
        model = sunspec2.device.Model(number)
        field = getattr(model, point)
        field.value = value
        values = registers(field.get_mb())
        await server.async_setValues(UNIT, 16, image.begins[number] + field.offset, values)
        return {}

    await server.serve_forever(background=True)
    say({"port": server.transport.sockets[0].getsockname()[1]})
    await converse({"held": held, "change": change})
    await server.shutdown()


asyncio.run(main())
