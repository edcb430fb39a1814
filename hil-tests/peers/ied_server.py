"""The IED of configs/devices/ied-inverter-oltc.icd, served by open61850 at 127.0.0.1.

`ied_server.py ICD CONTROL_MODEL [PORT]` gives all controllable objects this control model, 1 to 4. The inverter takes
what it is told up to its rating; the tap changer makes each step at once. Objects and values can be set as the tests
like.
"""

import asyncio
import sys

from conversation import converse, say
from open61850.data import BitStringData, FloatData, StructureData
from open61850.server.control import ADD_CAUSE_BLOCKED_BY_MODE, ADD_CAUSE_INCONSISTENT_PARAMETERS
from open61850.server.model import IedModel
from open61850.server.server import MmsServer

STEP_LIMIT = 7
RATING_W = 8000.0
LOWEST, HIGHEST = 1, 9
RAISE, LOWER = b"\x80", b"\x40"
INVERTER, TAP_CHANGER = "GRIDLOOPINV", "GRIDLOOPOLTC"
SETPOINTS = ("OutWSet", "OutVarSet")


class Ied:
    """The values of the IED and what its commands do to them."""

    def __init__(self, icd, control_model, port):
        self.model = IedModel.from_scl(icd, "GRIDLOOP")
        self.server = MmsServer(self.model, "127.0.0.1", port)
        self.commands = []
        self.blocked = False
        self.ending = None
        put = self.model.set
        for name, lowest in zip(SETPOINTS, (0.0, -RATING_W)):
            put(f"{INVERTER}/ZINV1.{name}.ctlModel[CF]", control_model)
            put(f"{INVERTER}/ZINV1.{name}.minVal.f[CF]", lowest)
            put(f"{INVERTER}/ZINV1.{name}.maxVal.f[CF]", RATING_W)
        put(f"{INVERTER}/ZINV1.OutWSet.mxVal.f[MX]", RATING_W)
        for name in ("WRtg", "VarRtg"):
            put(f"{INVERTER}/ZINV1.{name}.setMag.f[SP]", RATING_W)
        put(f"{TAP_CHANGER}/YLTC1.TapChg.ctlModel[CF]", control_model)
        for name in ("TapPos", "TapChg"):
            put(f"{TAP_CHANGER}/YLTC1.{name}.minVal[CF]", LOWEST)
            put(f"{TAP_CHANGER}/YLTC1.{name}.maxVal[CF]", HIGHEST)
        put(f"{TAP_CHANGER}/ATCC1.BndCtr.setMag.f[SP]", 230.0)
        put(f"{TAP_CHANGER}/ATCC1.BndCtr.minVal.f[CF]", 200.0)
        put(f"{TAP_CHANGER}/ATCC1.BndCtr.maxVal.f[CF]", 250.0)
        self.stand_at(5)

    def start(self):
        self.server.start()
        controls = self.server.controls
        for name in SETPOINTS:
            controls.set_check(f"{INVERTER}/ZINV1.{name}", self.check_power)
            controls.set_handler(f"{INVERTER}/ZINV1.{name}", self.set_power)
        controls.set_check(f"{TAP_CHANGER}/YLTC1.TapChg", self.check_step)
        controls.set_handler(f"{TAP_CHANGER}/YLTC1.TapChg", self.step)
        controls.set_handler(f"{TAP_CHANGER}/YLTC1.TapPos", self.go_to)

    def stand_at(self, position):
        self.position = position
        for name in ("TapPos", "TapChg"):
            self.model.set(f"{TAP_CHANGER}/YLTC1.{name}.valWTr.posVal[ST]", position)

    def note(self, command):
        category, identity = command.origin.members
        self.commands.append(
            {
                "object": command.reference,
                "category": category.value,
                "originator": bytes(identity.value).decode(),
                "number": command.ctl_num,
                "test": command.test,
                "interlock": command.interlock_check,
                "synchro": command.synchro_check,
            }
        )

    def check_power(self, command):
        if self.blocked:
            return ADD_CAUSE_BLOCKED_BY_MODE
        value = command.ctl_val
        sound = isinstance(value, StructureData) and isinstance(value.members[0], FloatData)
        if not sound or abs(value.members[0].value) > RATING_W:
            return ADD_CAUSE_INCONSISTENT_PARAMETERS
        return None

    def set_power(self, command):
        self.note(command)
        name = command.object_item.rpartition("$")[2]
        self.model.set(f"{INVERTER}/ZINV1.{name}.mxVal.f[MX]", command.ctl_val.members[0].value)
        return self.ending

    def check_step(self, command):
        if self.blocked:
            return ADD_CAUSE_BLOCKED_BY_MODE
        value = command.ctl_val
        if not isinstance(value, BitStringData) or value.value not in (RAISE, LOWER):
            return ADD_CAUSE_INCONSISTENT_PARAMETERS
        after = self.position + (1 if value.value == RAISE else -1)
        return None if LOWEST <= after <= HIGHEST else STEP_LIMIT

    def step(self, command):
        self.note(command)
        if self.ending is not None:
            return self.ending
        self.stand_at(self.position + (1 if command.ctl_val.value == RAISE else -1))
        return None

    def go_to(self, command):
        self.note(command)
        self.stand_at(command.ctl_val.value)

    def put(self, values):
        for reference, value in values.items():
            self.model.set(reference, value)
        return {}

    def doubt(self, reference, bits):
        """Sets a quality attribute to the bits with these numbers."""
        value = sum(1 << (12 - bit) for bit in bits)
        self.model.set(reference, value)
        return {}

    def block(self, blocked):
        self.blocked = blocked
        return {}

    def end(self, cause):
        """Ends accepted commands with this additional cause; a step is then made by `stand` only."""
        self.ending = cause
        return {}

    def stand(self, position):
        self.stand_at(position)
        return {}

    def sweep(self, reference, count):
        """Sets a value to 1, 2 and so on up to `count`, as fast as it goes."""
        for value in range(1, count + 1):
            self.model.set(reference, float(value))
        return {}


async def main():
    ied = Ied(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    ied.start()
    say({"port": ied.server.port})
    await converse(
        {
            "put": ied.put,
            "doubt": ied.doubt,
            "block": ied.block,
            "end": ied.end,
            "stand": ied.stand,
            "sweep": ied.sweep,
            "commands": lambda: {"commands": ied.commands},
            "position": lambda: {"position": ied.position},
        }
    )
    ied.server.stop()


asyncio.run(main())
