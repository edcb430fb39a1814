"""A SimCES component written from the wire contract with pika, sharing nothing with gridloop.

It is a load that publishes ResourceState.Load.NAME in every epoch, checks all that it receives as strictly as the Python
platform's components would have it, and keeps what breaks a rule as a violation.

`simces_component.py URL EXCHANGE SIMULATION_ID NAME` is for tests that talk to it: it is ready when its queue is bound,
and answers the question `report` when the run is over.

`simces_component.py` alone takes all that from the SimCES environment variables, so that a platform manager can start
it (manifests/python-load.yml). It prints its report when the run is over and exits with 0 if there was no violation. With
OBSERVED_TOPICS, a comma-separated list of patterns such as `#`, it also checks what others say to each other.
"""

import asyncio
import collections
import json
import logging
import os
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone

import pika
from conversation import converse, say
from simces_rules import Broken, check, decoded, require

RUN_ENDS_WITHIN_S = 120
FIRST_CONNECTION_TRIES = 18


@dataclass
class Settings:
    """Which process of which run it is, and where the run is."""

    parameters: pika.connection.Parameters
    exchange: str
    simulation_id: str
    name: str
    durable: bool = False
    auto_delete: bool = True
    observed: list = field(default_factory=list)


def settings_of_arguments(url, exchange, simulation_id, name):
    """As a test tells them."""
    return Settings(pika.URLParameters(url), exchange, simulation_id, name)


def settings_of_environment(variables):
    """As a platform manager tells them: true is only what spells `true`, and what is set but empty is empty."""
    login = variables.get("RABBITMQ_LOGIN", "") or "guest"
    password = variables.get("RABBITMQ_PASSWORD", "") or "guest"
    host = variables.get("RABBITMQ_HOST", "localhost")

    def flag(name):
        return variables.get(name, "").lower() == "true"

    encryption = pika.SSLOptions(ssl.create_default_context(), host) if flag("RABBITMQ_SSL") else None
    parameters = pika.ConnectionParameters(
        host=host,
        port=int(variables.get("RABBITMQ_PORT", "5672")),
        credentials=pika.PlainCredentials(login, password),
        ssl_options=encryption,
    )
    return Settings(
        parameters=parameters,
        exchange=variables["RABBITMQ_EXCHANGE"],
        simulation_id=variables["SIMULATION_ID"],
        name=variables["SIMULATION_COMPONENT_NAME"],
        durable=flag("RABBITMQ_EXCHANGE_DURABLE"),
        auto_delete=flag("RABBITMQ_EXCHANGE_AUTODELETE"),
        observed=[one for one in variables.get("OBSERVED_TOPICS", "").split(",") if one],
    )


class Component:
    """The rules of a component, without a connection: what comes in, what goes out."""

    def __init__(self, settings):
        self.settings = settings
        self.violations = []
        self.stopped = threading.Event()
        self.received = collections.Counter()
        self.running = False
        self.latest_epoch = 0
        self.completed_epoch = 0
        self.last_status_id = None
        self.sent = 0
        self.seen = {}
        self.ready = set()

    def handle(self, topic, body):
        """The messages that follow on one that has arrived: pairs of topic and message."""
        try:
            message = decoded(body)
            check(topic, message, self.settings.simulation_id)
            self.received[message["Type"]] += 1
            if message["SourceProcessId"] == self.settings.name:
                return []
            if topic in ("SimState", "Epoch"):
                return self.answer(topic, message)
            self.observe(message, body)
        except Broken as broken:
            self.violations.append(f"{topic}: {broken}: {body!r}")
        return []

    def answer(self, topic, message):
        """What the manager may send on its two topics."""
        require(message["Type"] == topic, f"Type must be {topic}")
        require(message["MessageId"] not in self.seen, f"MessageId {message['MessageId']} must be new")
        self.seen[message["MessageId"]] = b""
        return self.sim_state(message) if topic == "SimState" else self.epoch(message)

    def observe(self, message, body):
        """What others say to each other. After a broker came back they may say it again, word for word."""
        message_id, source = message["MessageId"], message["SourceProcessId"]
        before = self.seen.setdefault(message_id, body)
        require(before == body, f"MessageId {message_id} must be new")
        moment = (source, message.get("EpochNumber"))
        if message["Type"] == "Status":
            self.ready.add(moment)
        elif before is body:
            require(moment not in self.ready, f"{source} gave a result for an epoch that it had ended")

    def sim_state(self, message):
        """The run begins or ends."""
        if message["SimulationState"] == "stopped":
            self.stopped.set()
            return []
        self.running = True
        if self.latest_epoch > 0:
            return []
        return [self.status(0, [message["MessageId"]])]

    def epoch(self, message):
        """An epoch that is asked for, perhaps again."""
        number, triggers = message["EpochNumber"], message["TriggeringMessageIds"]
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
        message["CustomerId"] = self.settings.name
        message["RealPower"] = {"Value": -1.0 - epoch / 10.0, "UnitOfMeasure": "kW"}
        message["ReactivePower"] = {"Value": -0.25, "UnitOfMeasure": "kV.A{r}"}
        return f"ResourceState.Load.{self.settings.name}", message

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
            "SimulationId": self.settings.simulation_id,
            "Timestamp": now,
            "SourceProcessId": self.settings.name,
            "MessageId": f"{self.settings.name}-{self.sent}",
            "EpochNumber": epoch,
            "TriggeringMessageIds": because_of,
        }


def take_part(connection, component, listening):
    """Listens and answers until the run is over; calls `listening` when its queue is bound."""
    settings = component.settings
    channel = connection.channel()
    flags = {"durable": settings.durable, "auto_delete": settings.auto_delete}
    channel.exchange_declare(settings.exchange, exchange_type="topic", **flags)
    queue = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
    for topic in ("SimState", "Epoch", *settings.observed):
        channel.queue_bind(queue, settings.exchange, topic)
    publisher = connection.channel()
    publisher.confirm_delivery()
    listening()
    for delivery, _, body in channel.consume(queue):
        channel.basic_ack(delivery.delivery_tag)
        for topic, message in component.handle(delivery.routing_key, body):
            properties = pika.BasicProperties(delivery_mode=1, priority=0)
            text = json.dumps(message).encode("utf-8")
            publisher.basic_publish(settings.exchange, topic, text, properties, mandatory=True)
        if component.stopped.is_set():
            break
    connection.close()


def connect(parameters):
    """A broker may be started after its components, so the first connection is tried again as SimCES does."""
    for attempt in range(1, FIRST_CONNECTION_TRIES + 1):
        try:
            return pika.BlockingConnection(parameters)
        except pika.exceptions.AMQPConnectionError:
            if attempt == FIRST_CONNECTION_TRIES:
                raise
            time.sleep(1)


def be_asked(component):
    """Takes part, and answers the questions of a test meanwhile."""

    def work():
        try:
            take_part(pika.BlockingConnection(component.settings.parameters), component, lambda: say({"ready": True}))
        except Exception as error:
            name = component.settings.name
            component.violations.append(f"{name} broke off: {type(error).__name__}: {error}")
            component.stopped.set()

    async def report():
        over = await asyncio.to_thread(component.stopped.wait, RUN_ENDS_WITHIN_S)
        return {"stopped": over, "violations": component.violations}

    threading.Thread(target=work, daemon=True).start()
    asyncio.run(converse({"report": report}))


def be_started(component, log):
    """Takes part, and tells at the end what it saw. The exit code."""
    settings = component.settings
    bound = ", ".join(["SimState", "Epoch", *settings.observed])
    take_part(connect(settings.parameters), component, lambda: log.info("%s listens to %s", settings.name, bound))
    report = {
        "name": settings.name,
        "stopped": component.stopped.is_set(),
        "epochs": component.completed_epoch,
        "sent": component.sent,
        "received": dict(sorted(component.received.items())),
        "violations": component.violations,
    }
    log.info("report: %s", json.dumps(report))
    print(json.dumps(report), flush=True)
    return 1 if component.violations else 0


def log_of_environment(variables):
    """A log like that of the Python platform's components."""
    handlers = [logging.StreamHandler(sys.stderr)]
    if file := variables.get("SIMULATION_LOG_FILE"):
        handlers.append(logging.FileHandler(file))
    logging.basicConfig(
        level=int(variables.get("SIMULATION_LOG_LEVEL", "20")),
        format=variables.get("SIMULATION_LOG_FORMAT", "%(asctime)s --- %(levelname)8s --- %(message)s"),
        handlers=handlers,
    )
    logging.getLogger("pika").setLevel(logging.WARNING)
    return logging.getLogger("simces_component")


if len(sys.argv) > 1:
    be_asked(Component(settings_of_arguments(*sys.argv[1:])))
else:
    sys.exit(be_started(Component(settings_of_environment(os.environ)), log_of_environment(os.environ)))
