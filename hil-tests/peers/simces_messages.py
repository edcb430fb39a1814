"""Every message type of SimCES as its Python classes judge it, written from the wire contract, sections 2.1 to 2.6.

It shares nothing with gridloop. `accept(message)` raises Broken for what a Python process would refuse to take;
`check_sent(message)` also for what no process should send: dates in any other than the canonical spelling, numbers of
blocks without a point, null for what may be left out. Other peers may import both.

`simces_messages.py` alone is for tests: `judge` takes bodies as texts and says for each why it is not accepted and why
it should not be sent; `validate` does the same with JSON Schemas, by the jsonschema package.
"""

import asyncio
import json
import re
from datetime import datetime, timezone

from simces_rules import CANONICAL, WARNINGS, Broken, require

DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:.\d{2}(?::\d{2}(?::\d{2}(?:\.(?:\d{3}|\d{6}))?)?)?(?:[+-]\d{2}:\d{2})?)?",
    re.ASCII | re.DOTALL,
)


def is_integer(value):
    """True is none, though Python says so."""
    return type(value) is int


def is_number(value):
    """A finite number of JSON."""
    return is_integer(value) or (type(value) is float and value - value == 0.0)


def datetime_text(value, field):
    """A datetime in any spelling that Python 3.7 reads."""
    require(isinstance(value, str), f"{field}: a datetime must be a text: {value!r}")
    spelled = value.replace("Z", "+00:00")
    require(DATETIME.fullmatch(spelled), f"{field}: not a datetime: {value!r}")
    try:
        read = datetime.fromisoformat(spelled)
        return (read if read.tzinfo else read.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise Broken(f"{field}: {error}") from None


def text(value, field):
    """Any text."""
    require(isinstance(value, str), f"{field}: not a text: {value!r}")


def name(value, field):
    """A text that is not empty."""
    require(isinstance(value, str) and value != "", f"{field}: not a text that is not empty: {value!r}")


def natural(value, field):
    """A whole number from 0, written as one."""
    require(is_integer(value) and value >= 0, f"{field}: not a whole number from 0: {value!r}")


def count(value, field):
    """A whole number from 0, also as a text or a float."""
    if isinstance(value, str):
        require(re.fullmatch(r"\s*\+?\d+\s*", value, re.ASCII), f"{field}: no count: {value!r}")
        return
    require(is_number(value) and value >= 0 and value == int(value), f"{field}: no count: {value!r}")


def simple_float(value, field):
    """A number with a point."""
    require(type(value) is float and is_number(value), f"{field}: not a float: {value!r}")


def number(value, field):
    """A number with or without a point, or a text that spells one."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise Broken(f"{field}: not a number: {value!r}") from None
    require(is_number(value), f"{field}: not a finite number: {value!r}")
    return float(value)


def one_of(*words):
    """One of these values."""

    def check(value, field):
        known = any(type(value) is type(word) and value == word for word in words)
        require(known, f"{field}: none of {words}: {value!r}")

    return check


def phase(value, field):
    """What int() makes 1, 2 or 3 of."""
    require(not isinstance(value, bool), f"{field}: no phase: {value!r}")
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        raise Broken(f"{field}: no phase: {value!r}") from None
    require(whole in (1, 2, 3), f"{field}: no phase: {value!r}")


def conductor(value, field):
    """A phase or the neutral."""
    if value != "neutral":
        phase(value, field)


def quantity(unit, least=None, most=None, bare_integer=False):
    """A QuantityBlock, or its shorthand with the unit implied."""

    def check(value, field):
        if isinstance(value, dict):
            if unit is None:
                name(value.get("UnitOfMeasure"), f"{field}.UnitOfMeasure")
            else:
                require(value.get("UnitOfMeasure") == unit, f"{field}: the unit must be {unit}: {value!r}")
            require("Value" in value, f"{field}: no Value")
            value = value["Value"]
        else:
            require(unit is not None, f"{field}: not a block")
            require(bare_integer or not is_integer(value), f"{field}: a bare integer")
        found = number(value, field)
        require(least is None or found >= least, f"{field}: less than {least}: {found}")
        require(most is None or found <= most, f"{field}: more than {most}: {found}")

    check.is_block = True
    return check


def exactly(block, keys, field):
    """A block with these members and no other."""
    require(isinstance(block, dict) and set(block) == set(keys), f"{field}: not exactly {keys}: {block!r}")


def quantity_array(unit):
    """A QuantityArrayBlock, or a bare array of floats."""

    def check(value, field):
        if isinstance(value, list):
            for one in value:
                simple_float(one, field)
            return
        exactly(value, ("UnitOfMeasure", "Values"), field)
        require(value["UnitOfMeasure"] == unit, f"{field}: the unit must be {unit}: {value['UnitOfMeasure']!r}")
        require(isinstance(value["Values"], list), f"{field}: Values is no array")
        require(all(is_number(one) for one in value["Values"]), f"{field}: not all numbers")

    check.is_block = True
    return check


def value_array(value, field):
    """A ValueArrayBlock."""
    exactly(value, ("UnitOfMeasure", "Values"), field)
    text(value["UnitOfMeasure"], field)
    values = value["Values"]
    require(isinstance(values, list), f"{field}: Values is no array")
    kinds = (is_number, lambda one: isinstance(one, str), lambda one: isinstance(one, bool))
    require(any(all(kind(one) for one in values) for kind in kinds), f"{field}: values of several kinds")


def time_series(value, field):
    """A TimeSeriesBlock."""
    exactly(value, ("TimeIndex", "Series"), field)
    require(isinstance(value["TimeIndex"], list), f"{field}: TimeIndex is no array")
    for one in value["TimeIndex"]:
        datetime_text(one, f"{field}.TimeIndex")
    require(isinstance(value["Series"], dict) and value["Series"], f"{field}: no series")
    for series, block in value["Series"].items():
        name(series, f"{field}: name of a series")
        value_array(block, f"{field}.{series}")
        require(len(block["Values"]) == len(value["TimeIndex"]), f"{field}.{series}: of another length than TimeIndex")


def series(needed=(), only=False, every=None, least=0):
    """A TimeSeriesBlock with certain series."""

    def check(value, field):
        time_series(value, field)
        for named, unit in dict(needed).items():
            require(named in value["Series"], f"{field}: no series {named}")
            require(value["Series"][named]["UnitOfMeasure"] == unit, f"{field}.{named}: not in {unit}")
        require(not only or set(value["Series"]) == set(dict(needed)), f"{field}: other series than {needed}")
        units = {block["UnitOfMeasure"] for block in value["Series"].values()}
        require(every is None or units == {every}, f"{field}: not all in {every}")
        require(len(value["TimeIndex"]) >= least, f"{field}: fewer than {least} points")

    return check


def array(check, least=0):
    """An array of values of one kind."""

    def check_all(value, field):
        enough = isinstance(value, list) and len(value) >= least
        require(enough, f"{field}: not an array of at least {least}: {value!r}")
        for one in value:
            check(one, field)

    return check_all


def members(check):
    """An object whose members are of one kind."""

    def check_all(value, field):
        require(isinstance(value, dict), f"{field}: not an object")
        for one, member in value.items():
            check(member, f"{field}.{one}")

    return check_all


def record(**fields):
    """An object with these fields at least."""

    def check_all(value, field):
        require(isinstance(value, dict), f"{field}: not an object: {value!r}")
        check_fields(value, fields, f"{field}.")

    return check_all


class Optional:
    """A field that may be missing or null."""

    def __init__(self, check):
        self.check = check


class OrNull(Optional):
    """A field that is always sent, as null if there is nothing."""


def check_fields(message, fields, prefix=""):
    """Whether the fields are there and what they must be."""
    for field, check in fields.items():
        value = message.get(field)
        if isinstance(check, Optional):
            if value is not None:
                check.check(value, prefix + field)
        else:
            require(value is not None, f"{prefix}{field}: missing")
            check(value, prefix + field)


def warning(value, field):
    """A text that begins like a known warning."""
    known = tuple(f"warning.{kind}" for kind in WARNINGS)
    require(isinstance(value, str) and value.startswith(known), f"{field}: no warning: {value!r}")


BASE = {"Type": name, "SimulationId": datetime_text, "Timestamp": Optional(datetime_text)}
ABSTRACT_MESSAGE = {**BASE, "SourceProcessId": name, "MessageId": name}
ABSTRACT_RESULT = {
    **ABSTRACT_MESSAGE,
    "EpochNumber": natural,
    "TriggeringMessageIds": array(name, 1),
    "LastUpdatedInEpoch": Optional(natural),
    "Warnings": Optional(array(warning)),
    "IterationStatus": Optional(one_of("intermediate", "final")),
}
KW, KVAR = quantity("kW"), quantity("kV.A{r}")
PU = quantity_array("{pu}")
MARKET_KW, MINUTES, EUR = (quantity(unit, 0, None, True) for unit in ("kW", "Minute", "EUR"))
DIRECTION = one_of("upregulation", "downregulation")
LIMIT = one_of("acceptable", "close-to-limits", "unacceptable")
NEED = {
    "ActivationTime": datetime_text, "Duration": MINUTES, "Direction": DIRECTION, "RealPowerMin": MARKET_KW,
    "RealPowerRequest": MARKET_KW, "CustomerIds": array(text, 1), "CongestionId": name,
    "BidResolution": Optional(MARKET_KW),
}
TERMS = {
    "ActivationTime": OrNull(datetime_text), "Duration": OrNull(MINUTES), "Direction": OrNull(DIRECTION),
    "RealPower": OrNull(series(every="kW", least=1)), "Price": OrNull(EUR), "CongestionId": OrNull(name),
    "OfferId": OrNull(name), "CustomerIds": OrNull(array(text, 1)),
}
VOLTAGE = {"Magnitude": quantity("kV"), "Angle": quantity("deg"), "Bus": text, "Node": conductor}
CURRENT = {
    "MagnitudeSendingEnd": quantity("A"), "MagnitudeReceivingEnd": quantity("A"), "AngleSendingEnd": quantity("deg"),
    "AngleReceivingEnd": quantity("deg"), "DeviceId": text, "Phase": conductor,
}
CURRENT_SERIES = {
    "MagnitudeSendingEnd": "A", "MagnitudeReceivingEnd": "A", "AngleSendingEnd": "deg", "AngleReceivingEnd": "deg",
}
MANAGER_PARAMETERS = record(
    InitialStartTime=datetime_text, EpochLength=count, MaxEpochCount=count, ManagerName=name, EpochTimerInterval=number,
    Components=array(name), MaxEpochResendCount=count,
)
LOG_WRITER_PARAMETERS = record(MessageBufferMaxDocumentCount=count, MessageBufferMaxInterval=number)
FIELDS = {
    "Start": {
        "SimulationSpecificExchange": name, "SimulationName": text, "SimulationDescription": text,
        "ProcessParameters": record(SimulationManager=MANAGER_PARAMETERS, LogWriter=Optional(LOG_WRITER_PARAMETERS)),
    },
    "SimState": {
        "SimulationState": one_of("running", "stopped"), "Name": Optional(text), "Description": Optional(text),
    },
    "Epoch": {"StartTime": datetime_text, "EndTime": datetime_text},
    "Status": {"Value": one_of("ready", "error"), "Description": Optional(text)},
    "Result": {},
    "Simple": {"SimpleValue": simple_float},
    "ResourceState": {
        "CustomerId": text, "RealPower": KW, "ReactivePower": KVAR, "Node": Optional(phase),
        "StateOfCharge": Optional(quantity("%", 0, 100)),
    },
    "ControlState.PowerSetpoint": {"RealPower": KW, "ReactivePower": KVAR},
    "ResourceForecastState.Power": {"ResourceId": text, "Forecast": series({"RealPower": "kW"}, only=True, least=2)},
    "ResourceForecastState.Dispatch": {"Dispatch": members(series({"RealPower": "kW"}))},
    "PriceForecastState": {
        "MarketId": text, "Prices": series(), "ResourceId": Optional(text), "PricingType": Optional(text),
    },
    "Init.NIS.NetworkBusInfo": {
        "BusVoltageBase": quantity_array("kV"), "BusName": array(text),
        "BusType": array(one_of("root", "dummy", "usage-point")),
    },
    "Init.NIS.NetworkComponentInfo": {
        "Resistance": PU, "Reactance": PU, "ShuntAdmittance": PU, "ShuntConductance": PU, "RatedCurrent": PU,
        "SendingEndBus": array(text), "ReceivingEndBus": array(text), "DeviceId": array(text),
        "PowerBase": quantity("kV.A"),
    },
    "Init.CIS.CustomerInfo": {"ResourceId": array(name), "CustomerId": array(name), "BusName": array(text)},
    "NetworkState.Loss": {
        "RealPowerShunt": quantity(None), "RealPowerSeries": quantity(None),
        "ReactivePowerShunt": Optional(quantity(None)), "ReactivePowerSeries": Optional(quantity(None)),
        "DeviceId": text,
    },
    "NetworkForecastState.Voltage": {
        "Forecast": series({"Magnitude": "kV", "Angle": "deg"}), "Bus": text, "Node": conductor,
    },
    "NetworkForecastState.Current": {"Forecast": series(CURRENT_SERIES), "DeviceId": text, "Phase": conductor},
    "DMSNetworkStatus.Voltage": {
        "VoltageStatus": array(record(BusName=text, Node=phase, Status=LIMIT, Violation=number)),
    },
    "DMSNetworkStatus.Current": {
        "CurrentStatus": array(record(
            DeviceId=text, Phase=phase, StatusSendingEnd=LIMIT, StatusReceivingEnd=LIMIT, ViolationSendingEnd=number,
            ViolationReceivingEnd=number,
        )),
    },
    "FlexibilityNeed": NEED,
    "Request": NEED,
    "Offer": {**TERMS, "OfferCount": count},
    "LFMOffering": {**TERMS, "OfferCount": count},
    "LFMMarketResult": {**TERMS, "ResultCount": count},
    "SelectedOffer": {"OfferIds": array(name, 1)},
}


def fields_of(message):
    """The fields of a message by its type; those of BaseMessage for a type that has no class."""
    kind = message.get("Type")
    if kind == "NetworkState":
        return {**ABSTRACT_RESULT, **(VOLTAGE if "Magnitude" in message else CURRENT)}
    if not isinstance(kind, str) or kind not in FIELDS:
        return BASE
    base = {"Start": BASE, "SimState": ABSTRACT_MESSAGE}.get(kind, ABSTRACT_RESULT)
    return {**base, **FIELDS[kind]}


def accept(message):
    """Raises Broken for what the class of the message would refuse."""
    require(isinstance(message, dict), "a message must be an object")
    check_fields(message, fields_of(message))
    if message["Type"] == "Epoch":
        start, end = (datetime_text(message[field], field) for field in ("StartTime", "EndTime"))
        start, end = (one.replace(microsecond=one.microsecond // 1000 * 1000) for one in (start, end))
        require(start < end, "EndTime must be later than StartTime")
    if message["Type"] == "Init.NIS.NetworkBusInfo":
        require(message["BusType"].count("root") == 1, "BusType must have one root")


def check_sent(message):
    """Raises Broken for what should not be sent, though some receivers may take it."""
    accept(message)
    fields = fields_of(message)
    for field, check in fields.items():
        if isinstance(check, OrNull):
            require(field in message, f"{field} must be sent, if only as null")
        elif field in message:
            require(message[field] is not None, f"{field} must be left out and not null")
        if field in message and isinstance(check, Optional):
            check = check.check
        if hasattr(check, "is_block") and message.get(field) is not None:
            require(isinstance(message[field], dict), f"{field} must be an object: {message[field]!r}")
    if message["Type"] == "Status" and message["Value"] == "error":
        require(message.get("Description", "").strip(), "an error must have a Description")
    require(message.get("Warnings") != [], "no warnings must be left out")
    if message["Type"] not in ("Result", "Start"):
        check_spelling(message, message["Type"])


def check_spelling(value, path):
    """Canonical datetimes and numbers with a point, wherever there are any."""
    if isinstance(value, dict):
        for field, member in value.items():
            if field in ("SimulationId", "Timestamp", "StartTime", "EndTime", "ActivationTime") and member is not None:
                require(CANONICAL.fullmatch(member), f"{path}.{field} is not canonical: {member!r}")
            if field == "TimeIndex":
                require(all(CANONICAL.fullmatch(one) for one in member), f"{path}.TimeIndex is not canonical")
                require(sorted(set(member)) == member, f"{path}.TimeIndex must ascend")
            if field.startswith("Violation") or (field == "Value" and "UnitOfMeasure" in value):
                require(type(member) is float, f"{path}.{field} must have a point: {member!r}")
            if field == "Values":
                kinds = {type(one) for one in member}
                require(kinds in (set(), {float}, {str}, {bool}), f"{path}.Values must be of one kind: {kinds}")
            if field.endswith("Count"):
                require(is_integer(member), f"{path}.{field} must be an integer: {member!r}")
            check_spelling(member, f"{path}.{field}")
    if isinstance(value, list):
        for one in value:
            check_spelling(one, path)


def read(body):
    """The message in a body as Python reads it, NaN and all."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise Broken(f"not JSON: {error}") from None


def verdict(check, body):
    """Why not, or None."""
    try:
        check(read(body))
    except Broken as error:
        return str(error)
    return None


def judge(bodies):
    """For each body why it is not accepted and why it should not be sent; null where all is well."""
    return {
        "refused": [verdict(accept, body) for body in bodies],
        "not_to_be_sent": [verdict(check_sent, body) for body in bodies],
    }


def validate(schemas, bodies):
    """For each body why the schema of its type refuses it; null where it does not."""
    from jsonschema import Draft202012Validator

    validators = {}
    for kind, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        validators[kind] = Draft202012Validator(schema)

    def why(body):
        message = json.loads(body)
        errors = validators[message["Type"]].iter_errors(message)
        return next((f"{error.json_path}: {error.message}" for error in errors), None)

    return {"refused": [why(body) for body in bodies]}


async def main():
    from conversation import converse, say

    say({"types": sorted([*FIELDS, "NetworkState"])})
    await converse({"judge": judge, "validate": validate})


if __name__ == "__main__":
    asyncio.run(main())
