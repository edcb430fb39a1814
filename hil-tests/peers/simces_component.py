"""A SimCES component written from the wire contract with pika, sharing nothing with gridloop.

`simces_component.py URL EXCHANGE SIMULATION_ID NAME`: a load that publishes ResourceState.Load.NAME in every epoch.

It checks all that the manager sends as the Python platform does, and keeps what breaks a rule as a violation. It is
ready when its queue is bound; it answers the question `report` when the run is over.
"""

import asyncio
import json
import re
import sys
import threading
from datetime import datetime, timezone

import pika
from conversation import converse, say

URL, EXCHANGE, SIMULATION_ID, NAME = sys.argv[1:]
CANONICAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
RUN_ENDS_WITHIN_S = 120

violations = []
stopped = threading.Event()


class Broken(Exception):
    """A rule of the wire contract that a message breaks."""


def require(holds, rule):
    """Breaks off the check of a message that does not keep the rule."""
    if not holds:
        raise Broken(rule)


def text_in(message, field):
    """A text that must be there and must not be empty."""
    value = message.get(field)
    require(isinstance(value, str) and value != "", f"{field} must be a text that is not empty: {value!r}")
    return value


def instant_in(message, field):
    """An instant in its canonical spelling."""
    value = text_in(message, field)
    require(CANONICAL.fullmatch(value), f"{field} must be spelled YYYY-MM-DDTHH:MM:SS.mmmZ: {value}")
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise Broken(f"{field} must be a date and time that exists: {value}") from None
    return value


def refuse_number(token):
    """JSON has no such number, though Python reads it."""
    raise Broken(f"{token} is no number of JSON")


class Component:
    """The rules of a component, without a connection: what comes in, what goes out."""

    def __init__(self):
        self.running = False
        self.latest_epoch = 0
        self.completed_epoch = 0
        self.last_status_id = None
        self.sent = 0
        self.manager_ids = set()

    def handle(self, topic, body):
        """The messages that follow on one that has arrived: pairs of topic and message."""
        try:
            message = json.loads(body.decode("utf-8"), parse_constant=refuse_number)
            require(isinstance(message, dict), "a message must be a JSON object")
            return self.answer(topic, message)
        except (Broken, UnicodeDecodeError, json.JSONDecodeError) as broken:
            violations.append(f"{topic}: {broken}: {body!r}")
            return []

    def answer(self, topic, message):
        """What the manager may send on its two topics."""
        require(text_in(message, "Type") == topic, f"Type must be {topic}")
        require(instant_in(message, "SimulationId") == SIMULATION_ID, "SimulationId must be that of the run")
        instant_in(message, "Timestamp")
        source, message_id = text_in(message, "SourceProcessId"), text_in(message, "MessageId")
        require(re.fullmatch(re.escape(source) + r"-[1-9]\d*", message_id), "MessageId must be <source>-<n>")
        require(message_id not in self.manager_ids, f"MessageId {message_id} must be new")
        self.manager_ids.add(message_id)
        return self.sim_state(message) if topic == "SimState" else self.epoch(message)

    def sim_state(self, message):
        """SimState is no result: it has neither epoch nor triggers."""
        state = text_in(message, "SimulationState")
        require(state in ("running", "stopped"), f"SimulationState must be running or stopped: {state}")
        for field in ("Name", "Description"):
            require(isinstance(message.get(field), str), f"{field} must be a text")
        for field in ("EpochNumber", "TriggeringMessageIds"):
            require(field not in message, f"SimState has no {field}")
        if state == "stopped":
            stopped.set()
            return []
        self.running = True
        if self.latest_epoch > 0:
            return []
        return [self.status(0, [message["MessageId"]])]

    def epoch(self, message):
        """An epoch that is asked for, perhaps again."""
        number = message.get("EpochNumber")
        require(type(number) is int and number >= 1, f"EpochNumber must be a whole number from 1: {number!r}")
        triggers = message.get("TriggeringMessageIds")
        require(isinstance(triggers, list) and triggers, "TriggeringMessageIds must be a list that is not empty")
        require(all(isinstance(one, str) and one for one in triggers), "TriggeringMessageIds must be texts")
        start, end = instant_in(message, "StartTime"), instant_in(message, "EndTime")
        require(start < end, "EndTime must be later than StartTime")
        require(self.running, "SimState running must come before the first Epoch")
        require(number >= self.latest_epoch, f"epoch {number} must not follow on {self.latest_epoch}")
        require(number <= self.completed_epoch + 1, f"epoch {number} began before {number - 1} was answered")
        if number == self.latest_epoch and self.last_status_id in triggers:
            return []
        if number > self.latest_epoch:
            require(self.last_status_id in triggers, "an Epoch must be triggered by what was answered before it")
        self.latest_epoch = number
        because_of = [message["MessageId"]]
        if self.completed_epoch == number:
            return [self.status(number, because_of)]
        self.completed_epoch = number
        return [self.resource_state(number, because_of), self.status(number, because_of)]

    def resource_state(self, epoch, because_of):
        """A load of a little more each epoch."""
        message = self.result("ResourceState", epoch, because_of)
        message["CustomerId"] = NAME
        message["RealPower"] = {"Value": -1.0 - epoch / 10.0, "UnitOfMeasure": "kW"}
        message["ReactivePower"] = {"Value": -0.25, "UnitOfMeasure": "kV.A{r}"}
        return f"ResourceState.Load.{NAME}", message

    def status(self, epoch, because_of):
        """Ready."""
        message = self.result("Status", epoch, because_of)
        message["Value"] = "ready"
        self.last_status_id = message["MessageId"]
        return "Status.Ready", message

    def result(self, kind, epoch, because_of):
        """What all results have."""
        self.sent += 1
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "Type": kind,
            "SimulationId": SIMULATION_ID,
            "Timestamp": now,
            "SourceProcessId": NAME,
            "MessageId": f"{NAME}-{self.sent}",
            "EpochNumber": epoch,
            "TriggeringMessageIds": because_of,
        }


def take_part(connection):
    """Listens and answers until the run is over."""
    component = Component()
    channel = connection.channel()
    channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=False, auto_delete=True)
    queue = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
    for topic in ("SimState", "Epoch"):
        channel.queue_bind(queue, EXCHANGE, topic)
    publisher = connection.channel()
    publisher.confirm_delivery()
    say({"ready": True})
    for delivery, _, body in channel.consume(queue):
        channel.basic_ack(delivery.delivery_tag)
        for topic, message in component.handle(delivery.routing_key, body):
            properties = pika.BasicProperties(delivery_mode=1, priority=0)
            publisher.basic_publish(EXCHANGE, topic, json.dumps(message).encode("utf-8"), properties, mandatory=True)
        if stopped.is_set():
            break
    connection.close()


def work():
    """Takes part in the run; whatever goes wrong is told to the test."""
    try:
        take_part(pika.BlockingConnection(pika.URLParameters(URL)))
    except Exception as error:
        violations.append(f"{NAME} broke off: {type(error).__name__}: {error}")
        stopped.set()


async def report():
    """What was found, once the run is over."""
    over = await asyncio.to_thread(stopped.wait, RUN_ENDS_WITHIN_S)
    return {"stopped": over, "violations": violations}


threading.Thread(target=work, daemon=True).start()
asyncio.run(converse({"report": report}))
