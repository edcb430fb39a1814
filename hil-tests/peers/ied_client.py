"""An MMS client of open61850, for a server at 127.0.0.1: `ied_client.py PORT`."""

import asyncio
import queue
import sys
import time

from conversation import converse, say
from open61850.data import BitStringData, FloatData, StructureData
from open61850.mms import ControlError, MmsClient, Origin, decode_report, discover, is_report, operate
from open61850.mms.errors import DataAccessError
from open61850.mms.pdu import ObjectName
from open61850.mms.rcb import RcbSettings, enable
from open61850.quality import Quality

RAISE, LOWER = BitStringData(b"\x80", 6), BitStringData(b"\x40", 6)
REMOTE_CONTROL = 3
PATIENCE_S = 20


def plain(value):
    """A value as JSON."""
    if isinstance(value, StructureData):
        return [plain(member) for member in value.members]
    if isinstance(value, BitStringData):
        length = len(value.value) * 8 - value.unused_bits
        return format(int.from_bytes(value.value, "big") >> value.unused_bits, f"0{length}b")
    inner = getattr(value, "value", str(value))
    return inner if isinstance(inner, (bool, int, float, str)) else str(inner)


def holds(told, value):
    """Whether a value, or any part of it, is this."""
    return any(holds(part, value) for part in told) if isinstance(told, list) else told == value


class Client:
    """One association."""

    def __init__(self, port):
        self.client = MmsClient.connect("127.0.0.1", port)
        self.reports = queue.Queue()
        self.client.add_report_listener(lambda message: is_report(message) and self.reports.put(decode_report(message)))

    def browse(self):
        model = discover(self.client, types=True)
        return {
            "devices": {
                name: {node: sorted(each.data_objects()) for node, each in device.logical_nodes.items()}
                for name, device in model.logical_devices.items()
            },
            "untyped": [node.name for node in model.logical_nodes() if node.type is None],
        }

    def read(self, reference):
        return {"value": plain(self.client.read(reference))}

    def quality(self, reference):
        return {"quality": str(Quality.from_bitstring(self.client.read(reference)))}

    def write(self, reference, value):
        try:
            self.client.write(reference, FloatData(value))
        except DataAccessError as error:
            return {"refused": error.code}
        return {}

    def operate(self, reference, value, test=False):
        command = {"raise": RAISE, "lower": LOWER}.get(value) or StructureData([FloatData(value)])
        origin = Origin(REMOTE_CONTROL, b"peer")
        try:
            result = operate(self.client, reference, command, origin=origin, test=test)
        except ControlError as error:
            cause = error.last_appl_error
            return {"refused": error.stage, "cause": None if cause is None else cause.add_cause}
        return {"model": result.ctl_model, "terminated": result.terminated}

    def operate_unselected(self, reference, value):
        """Operates as if the object needed no select."""
        try:
            operate(self.client, reference, StructureData([FloatData(value)]), ctl_model=1)
        except ControlError as error:
            cause = error.last_appl_error
            return {"refused": error.stage, "cause": None if cause is None else cause.add_cause}
        return {}

    def enable(self, domain, item, entry=None):
        settings = RcbSettings(intg_pd_ms=0, entry_id=None if entry is None else bytes.fromhex(entry))
        enable(self.client, ObjectName(item, domain), settings)
        return {}

    def report(self):
        """The next report."""
        report = self.reports.get(timeout=PATIENCE_S)
        return {
            "sequence": report.seq_num,
            "data_set": report.data_set,
            "entry": report.entry_id.hex() if report.entry_id else None,
            "values": {str(entry.index): plain(entry.value) for entry in report.entries},
            "reasons": sorted({str(entry.reason) for entry in report.entries}),
        }

    def report_with(self, index, value):
        """Waits for a report in which a member holds this value; gives the entries until then."""
        deadline = time.monotonic() + PATIENCE_S
        entries = []
        while time.monotonic() < deadline:
            report = self.report()
            entries.append(report["entry"])
            if holds(report["values"].get(str(index)), value):
                return {"entries": entries}
        raise TimeoutError(f"no report with {value}")

    def close(self):
        self.client.close()
        return {}


async def main():
    client = Client(int(sys.argv[1]))
    say({})
    names = ("browse", "read", "quality", "write", "operate", "operate_unselected", "enable", "report", "report_with", "close")
    await converse({name: getattr(client, name) for name in names})


asyncio.run(main())
