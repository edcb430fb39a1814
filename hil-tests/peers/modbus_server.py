"""Registers served by pymodbus over any transport: `modbus_server.py SETTINGS`, with SETTINGS the JSON text of

{"kind": "tcp" | "rtu+tcp" | "tls", "units": [N, ...]}      at a free port of 127.0.0.1
{"kind": "rtu", "port": PATH, "units": [N, ...]}            at a pseudo terminal
beside "tls": "ca_file", "certificate_file" and "key_file"; clients must show a certificate.

Holding register A of unit N holds 100 N + A, for A from 0 to 99; there are no others.
"""

import asyncio
import json
import ssl
import sys

from conversation import converse, say
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

READ_HOLDING_REGISTERS = 3
connections = 0


def device(unit):
    """One unit."""
    values = [100 * unit + address for address in range(100)]
    return SimDevice(unit, simdata=[SimData(0, values=values, datatype=DataType.REGISTERS)])


def on_connect(connected):
    """Counts connections."""
    global connections
    connections += connected


def make(settings):
    """A server that is not listening yet."""
    devices = [device(unit) for unit in settings["units"]]
    kind = settings["kind"]
    if kind == "rtu":
        # A pseudo terminal has no parity, and pyserial fails over that.
        line = {"baudrate": 19200, "parity": "N", "stopbits": 1}
        return ModbusSerialServer(devices, port=settings["port"], ignore_missing_devices=True, **line)
    shared = {"address": ("127.0.0.1", 0), "trace_connect": on_connect}
    if kind == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate_file"], settings["key_file"])
        context.load_verify_locations(settings["ca_file"])
        context.verify_mode = ssl.CERT_REQUIRED
        return ModbusTlsServer(devices, sslctx=context, **shared)
    framer = FramerType.RTU if kind == "rtu+tcp" else FramerType.SOCKET
    return ModbusTcpServer(devices, framer=framer, ignore_missing_devices=True, **shared)


async def main():
    settings = json.loads(sys.argv[1])
    server = make(settings)

    async def held(unit, address, count):
        """What registers hold now."""
        return {"values": await server.async_getValues(unit, READ_HOLDING_REGISTERS, address, count)}

    await server.serve_forever(background=True)
    port = 0 if settings["kind"] == "rtu" else server.transport.sockets[0].getsockname()[1]
    say({"port": port})
    await converse({"held": held, "connections": lambda: {"count": connections}})
    await server.shutdown()


asyncio.run(main())
