"""A tap changer with the register map of configs/devices/tap-changer-ecotap.toml, served by pymodbus at 127.0.0.1.

`tap_changer_server.py TRAVEL_S` takes so long for a movement. A command while it moves, outside external control or
past an end stop is refused with an exception.
"""

import asyncio
import struct
import sys

from conversation import converse, say
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

UNIT = 1
WRITES = (6, 16)
MODE, POSITION, COUNTER, SETPOINT, POSITIONS, LOWEST, HIGHEST, COMMAND = 0, 1, 3, 6, 13, 14, 15, 17
EXTERNAL = 3


class TapChanger:
    """The registers and the motor that moves them."""

    def __init__(self, travel_s):
        self.travel_s = travel_s
        self.moving = None
        self.commands = []
        self.initial = [0] * 18
        for register, value in [(MODE, EXTERNAL), (POSITION, 5), (SETPOINT, 230), (POSITIONS, 9)]:
            self.initial[register] = value
        self.initial[LOWEST], self.initial[HIGHEST] = 1, 9

    async def on_request(self, function, _start, address, _count, registers, values):
        """Looks at every request before it is carried out."""
        if function not in WRITES or values is None:
            return None
        if address != COMMAND:
            return None if address in (MODE, SETPOINT) else ExcCodes.ILLEGAL_ADDRESS
        (steps,) = struct.unpack(">h", struct.pack(">H", values[0]))
        self.commands.append(steps)
        target = registers[POSITION] + steps
        if not 1 <= abs(steps) <= 3 or not registers[LOWEST] <= target <= registers[HIGHEST]:
            return ExcCodes.ILLEGAL_VALUE
        if registers[MODE] != EXTERNAL:
            return ExcCodes.DEVICE_FAILURE
        if self.moving and not self.moving.done():
            return ExcCodes.DEVICE_BUSY
        self.moving = asyncio.create_task(self.move(registers, steps))
        return None

    async def move(self, registers, steps):
        """Takes its time, then shows the new position."""
        await asyncio.sleep(self.travel_s)
        registers[POSITION] += steps
        registers[COUNTER] += abs(steps)

    def server(self):
        """A server that is not listening yet."""
        holding = [SimData(0, values=self.initial, datatype=DataType.REGISTERS)]
        inputs = [
            SimData(8, values=[0, 2300], datatype=DataType.REGISTERS),
            SimData(10, count=36590, datatype=DataType.INVALID),
            SimData(36600, values=[5], datatype=DataType.REGISTERS),
        ]
        bits = [SimData(0, count=16, values=False, datatype=DataType.BITS)]
        device = SimDevice(UNIT, simdata=(bits, bits, holding, inputs), action=self.on_request)
        return ModbusTcpServer(device, address=("127.0.0.1", 0))


async def main():
    taps = TapChanger(float(sys.argv[1]))
    server = taps.server()
    await server.serve_forever(background=True)
    say({"port": server.transport.sockets[0].getsockname()[1]})
    await converse({"commands": lambda: {"steps": taps.commands}})
    await server.shutdown()


asyncio.run(main())
