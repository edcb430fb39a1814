"""pymodbus as a client of unit 1 over any transport: `modbus_client.py SETTINGS`, with SETTINGS the JSON text of

{"kind": "tcp" | "rtu+tcp" | "tls", "port": N}      at 127.0.0.1
{"kind": "rtu", "port": PATH}                       at a pseudo terminal
beside "tls": "ca_file", "certificate_file" and "key_file".
"""

import asyncio
import json
import ssl
import sys

from conversation import converse, say
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusTlsClient

UNIT = 1


def make(settings):
    """A client that is not connected yet."""
    kind, port = settings["kind"], settings["port"]
    patience = {"timeout": 10, "retries": 0}
    if kind == "rtu":
        # A pseudo terminal has no parity, and pyserial fails over that.
        return AsyncModbusSerialClient(port, baudrate=19200, parity="N", stopbits=1, **patience)
    if kind == "tls":
        context = ssl.create_default_context(cafile=settings["ca_file"])
        context.load_cert_chain(settings["certificate_file"], settings["key_file"])
        return AsyncModbusTlsClient("127.0.0.1", port=port, sslctx=context, **patience)
    framer = FramerType.RTU if kind == "rtu+tcp" else FramerType.SOCKET
    return AsyncModbusTcpClient("127.0.0.1", port=port, framer=framer, **patience)


async def main():
    client = make(json.loads(sys.argv[1]))
    if not await client.connect():
        raise RuntimeError("no connection")

    async def read(table, address, count):
        """Registers, or the exception code."""
        ask = client.read_holding_registers if table == "holding" else client.read_input_registers
        answer = await ask(address, count=count, device_id=UNIT)
        return {"exception": answer.exception_code} if answer.isError() else {"values": answer.registers}

    async def write(address, values):
        """Writes one register with function 06, more with 16."""
        if len(values) == 1:
            answer = await client.write_register(address, values[0], device_id=UNIT)
        else:
            answer = await client.write_registers(address, values, device_id=UNIT)
        return {"exception": answer.exception_code} if answer.isError() else {}

    say({"ready": True})
    await converse({"read": read, "write": write})
    client.close()


asyncio.run(main())
