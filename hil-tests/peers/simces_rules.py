"""What the wire contract demands of any message, as checks that share nothing with gridloop.

A message that breaks a rule raises Broken. Numbers are told apart as JSON writes them: 1 is an integer, 1.0 is not.
"""

import json
import re
from datetime import datetime

CANONICAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
WARNINGS = ("convergence", "input", "input-range", "input-unreliable", "internal", "other")


class Broken(Exception):
    """A rule of the wire contract that a message breaks."""


def require(holds, rule):
    """Breaks off the check of a message that does not keep the rule."""
    if not holds:
        raise Broken(rule)


def refuse_number(token):
    """JSON has no such number, though Python reads it."""
    raise Broken(f"{token} is no number of JSON")


def refuse_repeated(pairs):
    """JSON leaves open which of two members of one name counts."""
    names = [name for name, _ in pairs]
    require(len(set(names)) == len(names), f"a member must not be repeated: {names}")
    return dict(pairs)


def decoded(body):
    """The JSON object in a body."""
    try:
        text = body.decode("utf-8")
        message = json.loads(text, parse_constant=refuse_number, object_pairs_hook=refuse_repeated)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Broken(f"a body must be JSON in UTF-8: {error}") from None
    require(isinstance(message, dict), "a message must be a JSON object")
    return message


def text_in(message, field):
    """A text that must be there and must not be empty."""
    value = message.get(field)
    require(isinstance(value, str) and value != "", f"{field} must be a text that is not empty: {value!r}")
    return value


def instant(value, field):
    """An instant in its canonical spelling."""
    require(isinstance(value, str) and CANONICAL.fullmatch(value), f"{field} must be YYYY-MM-DDTHH:MM:SS.mmmZ: {value!r}")
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise Broken(f"{field} must be a date and time that exists: {value}") from None
    return value


def instant_in(message, field):
    """An instant that must be there."""
    return instant(text_in(message, field), field)


def whole_in(message, field, least):
    """A whole number, written as one."""
    value = message.get(field)
    require(type(value) is int and value >= least, f"{field} must be a whole number from {least}: {value!r}")
    return value


def triggers_in(message):
    """The messages that caused this one."""
    triggers = message.get("TriggeringMessageIds")
    require(isinstance(triggers, list) and triggers, "TriggeringMessageIds must be a list that is not empty")
    require(all(isinstance(one, str) and one for one in triggers), "TriggeringMessageIds must be texts")
    return triggers


def quantity_in(message, field, unit):
    """A number with its unit."""
    block = message.get(field)
    require(isinstance(block, dict), f"{field} must be a quantity: {block!r}")
    require(block.get("UnitOfMeasure") == unit, f"{field} must be in {unit}: {block!r}")
    require(type(block.get("Value")) is float, f"the Value of {field} must be a number with a point: {block!r}")
    return block["Value"]


def check_header(message, simulation_id):
    """What every message of a run has."""
    text_in(message, "Type")
    require(instant_in(message, "SimulationId") == simulation_id, "SimulationId must be that of the run")
    instant_in(message, "Timestamp")
    source, message_id = text_in(message, "SourceProcessId"), text_in(message, "MessageId")
    require(re.fullmatch(re.escape(source) + r"-[1-9]\d*", message_id), f"MessageId must be <source>-<n>: {message_id}")


def check_result(message):
    """What every message but SimState has besides."""
    epoch = whole_in(message, "EpochNumber", 0)
    triggers_in(message)
    if "LastUpdatedInEpoch" in message:
        require(whole_in(message, "LastUpdatedInEpoch", 0) <= epoch, "LastUpdatedInEpoch must not be in the future")
    for warning in message.get("Warnings", []):
        known = tuple(f"warning.{kind}" for kind in WARNINGS)
        require(isinstance(warning, str) and warning.startswith(known), f"no warning is like this: {warning!r}")
    status = message.get("IterationStatus", "final")
    require(status in ("intermediate", "final"), f"no IterationStatus is like this: {status!r}")


def check_sim_state(topic, message):
    """SimState is no result: it has neither epoch nor triggers."""
    require(topic == "SimState", "SimState belongs on SimState")
    state = text_in(message, "SimulationState")
    require(state in ("running", "stopped"), f"SimulationState must be running or stopped: {state}")
    for field in ("Name", "Description"):
        require(isinstance(message.get(field), str), f"{field} must be a text")
    for field in ("EpochNumber", "TriggeringMessageIds"):
        require(field not in message, f"SimState has no {field}")


def check_epoch(topic, message):
    """The simulated time of an epoch."""
    require(topic == "Epoch", "Epoch belongs on Epoch")
    whole_in(message, "EpochNumber", 1)
    require(instant_in(message, "StartTime") < instant_in(message, "EndTime"), "EndTime must be later than StartTime")


def check_status(topic, message):
    """An error says what it is, and everything has its own topic."""
    value = text_in(message, "Value")
    topics = {"ready": "Status.Ready", "error": "Status.Error"}
    require(topics.get(value) == topic, f"Status {value} does not belong on {topic}")
    if value == "error":
        text_in(message, "Description")


def check_resource_state(topic, message):
    """Power of a resource, on the topic of its kind and name."""
    source = message["SourceProcessId"]
    categories = ("Load", "Generator", "Storage")
    require(topic in [f"ResourceState.{one}.{source}" for one in categories], f"ResourceState of {source} on {topic}")
    text_in(message, "CustomerId")
    quantity_in(message, "RealPower", "kW")
    quantity_in(message, "ReactivePower", "kV.A{r}")
    if "Node" in message:
        require(message["Node"] in (1, 2, 3), f"Node must be 1, 2 or 3: {message['Node']!r}")
    if "StateOfCharge" in message:
        charge = quantity_in(message, "StateOfCharge", "%")
        require(0.0 <= charge <= 100.0, f"StateOfCharge must be from 0 to 100 %: {charge}")


def check_power_setpoint(topic, message):
    """What a resource is to do."""
    require(topic.startswith("ControlState.PowerSetpoint."), f"a setpoint on {topic}")
    quantity_in(message, "RealPower", "kW")
    quantity_in(message, "ReactivePower", "kV.A{r}")


def check_simple(topic, message):
    """One number."""
    require(topic == f"SimpleTopic.{message['SourceProcessId']}", f"Simple on {topic}")
    value = message.get("SimpleValue")
    require(type(value) is float, f"SimpleValue must be a number with a point: {value!r}")


def check_dummy_result(topic, message):
    """Two numbers and two time series of seven points."""
    for field, low, high in (("DummyValue", 0, 1000), ("TestValue", 100, 200)):
        value = message.get(field)
        require(type(value) is float and low <= value <= high, f"{field} must be from {low} to {high}: {value!r}")
    for field, unit in (("Current", "A"), ("Voltage", "V")):
        series = message.get(field)
        require(isinstance(series, dict) and set(series) == {"TimeIndex", "Series"}, f"{field} must be a time series")
        require(len(series["TimeIndex"]) == 7, f"{field} must have 7 points")
        units = {name: block.get("UnitOfMeasure") for name, block in series["Series"].items()}
        require(units == {"L1": unit, "L2": unit, "L3": unit}, f"{field} must have three phases in {unit}")


def check_blocks(value, path="message"):
    """Quantities and time series, wherever they are."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            check_blocks(item, f"{path}[{number}]")
    if not isinstance(value, dict):
        return
    if {"Value", "UnitOfMeasure"} <= set(value):
        require(type(value["Value"]) is float, f"{path} must have a Value with a point: {value['Value']!r}")
    if "TimeIndex" in value:
        check_time_series(value, path)
    for name, item in value.items():
        check_blocks(item, f"{path}.{name}")


def check_time_series(block, path):
    """Exactly two members, and one value for each instant."""
    require(set(block) == {"TimeIndex", "Series"}, f"{path} must have TimeIndex and Series and nothing else")
    instants = [instant(one, f"{path}.TimeIndex") for one in block["TimeIndex"]]
    require(instants == sorted(instants), f"{path}.TimeIndex must ascend")
    require(isinstance(block["Series"], dict) and block["Series"], f"{path} must have a series")
    for name, series in block["Series"].items():
        require(set(series) == {"UnitOfMeasure", "Values"}, f"{path}.{name} must have UnitOfMeasure and Values only")
        require(len(series["Values"]) == len(instants), f"{path}.{name} must have a value for each instant")
        kinds = {type(one) for one in series["Values"]}
        require(kinds in ({float}, {str}, {bool}, set()), f"{path}.{name} must have values of one kind: {kinds}")


CHECKS = {
    "SimState": check_sim_state,
    "Epoch": check_epoch,
    "Status": check_status,
    "ResourceState": check_resource_state,
    "ControlState.PowerSetpoint": check_power_setpoint,
    "Simple": check_simple,
    "Result": check_dummy_result,
}


def check(topic, message, simulation_id):
    """All rules that a message of a run has to keep by itself, on an ordinary topic or, intermediate, on its `.Iter`."""
    check_header(message, simulation_id)
    kind = message["Type"]
    if kind != "SimState":
        check_result(message)
    if topic.endswith(".Iter"):
        require(message.get("IterationStatus") == "intermediate", f"what is on {topic} must be intermediate")
        topic = topic.removesuffix(".Iter")
    check_blocks(message)
    if kind in CHECKS:
        CHECKS[kind](topic, message)
