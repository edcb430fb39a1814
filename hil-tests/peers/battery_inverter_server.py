"""A battery inverter with the register map of configs/devices/battery-inverter.toml, served by pymodbus at 127.0.0.1.

It follows the power set point at once in mode 1. When nothing is written for the watchdog time, the set point becomes
the fallback power. A power beyond 8 kW is refused with an exception.
"""

import asyncio
import struct

from conversation import converse, say
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

UNIT = 1
WRITES = (6, 16)
READ_INPUT_REGISTERS = 4
MODE, POWER, REACTIVE, WATCHDOG, FALLBACK = 40, 41, 43, 45, 46
RATED_W = 8000


def words(number, layout=">i"):
    """A number as registers, high word first."""
    data = struct.pack(layout, number)
    return list(struct.unpack(f">{len(data) // 2}H", data))


def number(registers, at):
    """Two registers as a signed number."""
    (value,) = struct.unpack(">i", struct.pack(">HH", *registers[at : at + 2]))
    return value


class Battery:
    """The control registers and the timer behind them."""

    def __init__(self):
        self.writes = []
        self.timer = None
        text = "Foreign battery 77".ljust(32, "\0").encode()
        self.holding = list(struct.unpack(">16H", text)) + [0] * 4
        self.holding += words(RATED_W) * 3 + words(4000)
        self.holding += [0] * 20

    async def on_request(self, function, _start, address, count, registers, values):
        """Looks at every request before it is carried out."""
        if function not in WRITES or values is None:
            return None
        if not MODE <= address or address + len(values) > MODE + 8:
            return ExcCodes.ILLEGAL_ADDRESS
        wanted = list(registers)
        wanted[address : address + len(values)] = values
        if wanted[MODE] > 1 or abs(number(wanted, POWER)) > RATED_W or abs(number(wanted, FALLBACK)) > RATED_W:
            return ExcCodes.ILLEGAL_VALUE
        self.writes.append([address, list(values)])
        if self.timer:
            self.timer.cancel()
            self.timer = None
        if wanted[MODE] == 1 and wanted[WATCHDOG]:
            self.timer = asyncio.create_task(self.fall_back(registers, wanted[WATCHDOG]))
        return None

    async def fall_back(self, registers, seconds):
        """Ends the command when its time is over."""
        await asyncio.sleep(seconds)
        registers[POWER : POWER + 2] = registers[FALLBACK : FALLBACK + 2]
        registers[REACTIVE : REACTIVE + 2] = [0, 0]

    def server(self):
        """A server that is not listening yet."""
        measured = words(-1234) + words(250) + [2301, 4999, 505, 0]
        measured += words(5_000_000_000, ">Q") + words(7_000, ">Q") + [1]
        holding = [SimData(0, values=self.holding, datatype=DataType.REGISTERS)]
        inputs = [SimData(0, values=measured, datatype=DataType.REGISTERS)]
        bits = [SimData(0, count=16, values=False, datatype=DataType.BITS)]
        device = SimDevice(UNIT, simdata=(bits, bits, holding, inputs), action=self.on_request)
        return ModbusTcpServer(device, address=("127.0.0.1", 0))


async def main():
    battery = Battery()
    server = battery.server()
    await server.serve_forever(background=True)

    async def held(address, count):
        """Holding registers as they are now."""
        return {"registers": await server.async_getValues(UNIT, 3, address, count)}

    say({"port": server.transport.sockets[0].getsockname()[1]})
    await converse({"writes": lambda: {"writes": battery.writes}, "held": held})
    await server.shutdown()


asyncio.run(main())
