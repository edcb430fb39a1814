"""A SimCES Simulation Manager written from the wire contract with pika, sharing nothing with gridloop.

`simces_manager.py URL EXCHANGE SIMULATION_ID PLAN`, the plan being a JSON object:

    name, components, start_delay_s, initial_start_time, epoch_length_s, max_epochs, timer_interval_s, max_resends,
    lose: [[COMPONENT, EPOCH], ...]   the first Status of that component for that epoch never reaches the manager

It behaves as the manager of the Python platform does (contract 3.1 to 3.4), and judges every message of the exchange as
a strict receiver would. It is ready when its queues are bound; it answers the question `report` when the run is over,
with everything it heard in the order of the broker.
"""

import asyncio
import json
import sys
import threading
import time
from collections import defaultdict
from datetime import datetime, timedelta, timezone

import pika
from conversation import converse, say
from simces_rules import Broken, check, decoded, require

URL, EXCHANGE, SIMULATION_ID, PLAN = sys.argv[1:]
PLAN = json.loads(PLAN)
NAME = PLAN["name"]
RUN_ENDS_WITHIN_S = 120

heard = []
violations = []
over = threading.Event()


def spelled(moment):
    """A moment as the bus spells it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Judge:
    """What a strict receiver demands of every message by itself, and of their order."""

    def __init__(self, manager):
        self.manager = manager
        self.messages = {}
        self.newest = defaultdict(int)
        self.ready = set()
        self.triggers = {}

    def look(self, topic, body):
        """Notes the message, and what is wrong with it."""
        try:
            message = decoded(body)
            heard.append([topic, message])
            check(topic, message, SIMULATION_ID)
            require(None not in message.values(), "an optional field is left out, never null")
            self.number(message)
            if message["SourceProcessId"] != NAME:
                self.answer(message)
        except Broken as broken:
            violations.append(f"{topic}: {broken}: {body!r}")

    def number(self, message):
        """Ids count upwards, and none stands for two messages."""
        source, message_id = message["SourceProcessId"], message["MessageId"]
        if message_id in self.messages:
            require(self.messages[message_id] == message, f"{message_id} stands for two messages")
            return
        number = int(message_id.removeprefix(f"{source}-"))
        require(number > self.newest[source], f"{message_id} after {source}-{self.newest[source]}")
        self.messages[message_id] = message
        self.newest[source] = number

    def answer(self, message):
        """Whatever a component says answers what asked for the epoch; results come first, and ready has their triggers."""
        source, epoch, triggers = (message[name] for name in ("SourceProcessId", "EpochNumber", "TriggeringMessageIds"))
        require("IterationStatus" not in message, "nobody iterates in this run")
        require(triggers[0] in self.manager.asked[epoch], f"{triggers[0]} did not ask for epoch {epoch}")
        if message["Type"] != "Status":
            require((source, epoch) not in self.ready, f"a result of {source} after ready for epoch {epoch}")
            require(triggers == self.triggers.setdefault((source, epoch), triggers), "results of one epoch differ in triggers")
        elif message["Value"] == "ready" and (source, epoch) not in self.ready:
            self.ready.add((source, epoch))
            require(triggers == self.triggers.get((source, epoch), triggers), "ready has other triggers than the results")


class Manager:
    """The rules of a manager, without a connection. What it publishes it gives as pairs of topic and message."""

    def __init__(self):
        self.state = "idle"
        self.reason = None
        self.last_epoch = {name: -1 for name in PLAN["components"]}
        self.in_error = set()
        self.epoch = 0
        self.resends = 0
        self.sent = 0
        self.triggers = []
        self.asked = defaultdict(list)
        self.lose = {tuple(one) for one in PLAN["lose"]}
        self.length = timedelta(seconds=PLAN["epoch_length_s"])
        self.end = datetime.fromisoformat(PLAN["initial_start_time"].replace("Z", "+00:00"))
        self.start = None
        self.expires_at = None

    def begin(self):
        """SimState running, or stopped if there is nobody to wait for."""
        if not self.last_epoch:
            return self.stop("no components")
        self.state = "running"
        self.arm()
        return [self.sim_state("running")]

    def arm(self):
        """Each wait is longer by one interval than the one before."""
        self.expires_at = time.monotonic() + PLAN["timer_interval_s"] * (self.resends + 1)

    def handle(self, message):
        """What follows on a Status, check by check."""
        if self.state == "stopped" or message.get("SimulationId") != SIMULATION_ID:
            return []
        source, epoch, message_id = message["SourceProcessId"], message["EpochNumber"], message["MessageId"]
        if (source, epoch) in self.lose:
            self.lose.remove((source, epoch))
            return []
        failed = message["Value"] == "error"
        if failed and "Description" not in message:
            return []  # the Python platform trips over it while it writes its log
        if failed and self.epoch >= 1:
            return self.stop(f"{source}: {message['Description']}")
        self.register(source, epoch, message_id, failed)
        if self.state != "running" or min(self.last_epoch.values()) != self.epoch:
            return []
        return self.stop(f"errors of {sorted(self.in_error)}") if self.in_error else self.next_epoch()

    def register(self, source, epoch, message_id, failed):
        """Counts an answer, once, and keeps what will have triggered the next Epoch."""
        if source not in self.last_epoch or (source in self.in_error and not failed):
            return
        if epoch <= self.last_epoch[source]:
            return
        if epoch > max(self.last_epoch.values()):
            self.triggers = []
        self.triggers.append(message_id)
        self.last_epoch[source] = epoch
        if failed:
            self.in_error.add(source)

    def next_epoch(self):
        """Number, window and timer move on."""
        self.epoch += 1
        self.resends = 0
        self.start, self.end = self.end, self.end + self.length
        if self.epoch > PLAN["max_epochs"]:
            return self.stop("completed")
        self.arm()
        return [self.epoch_message()]

    def expired(self):
        """Answers are missing for too long."""
        if self.resends >= PLAN["max_resends"]:
            return self.stop(f"no answer in epoch {self.epoch}")
        self.resends += 1
        self.arm()
        return [self.sim_state("running") if self.epoch == 0 else self.epoch_message()]

    def stop(self, reason):
        """SimState stopped, once."""
        self.state, self.reason, self.expires_at = "stopped", reason, None
        return [self.sim_state("stopped")]

    def sim_state(self, state):
        """Name and description are always there, if empty."""
        message = self.message("SimState", SimulationState=state, Name="judge", Description="")
        self.asked[0].append(message["MessageId"])
        return "SimState", message

    def epoch_message(self):
        """The present epoch; of a re-send only id and time are new, and the triggers are those of now."""
        message = self.message(
            "Epoch",
            EpochNumber=self.epoch,
            TriggeringMessageIds=list(self.triggers),
            StartTime=spelled(self.start),
            EndTime=spelled(self.end),
        )
        self.asked[self.epoch].append(message["MessageId"])
        return "Epoch", message

    def message(self, kind, **fields):
        """What all messages have."""
        self.sent += 1
        return {
            "Type": kind,
            "SimulationId": SIMULATION_ID,
            "Timestamp": spelled(datetime.now(timezone.utc)),
            "SourceProcessId": NAME,
            "MessageId": f"{NAME}-{self.sent}",
            **fields,
        }


def manage(connection):
    """Binds, waits, and manages the run to its end."""
    manager = Manager()
    judge = Judge(manager)
    channel = connection.channel()
    channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=False, auto_delete=True)
    publisher = connection.channel()
    publisher.confirm_delivery()
    # Filled by callbacks and emptied below, so that nothing is published from within one.
    statuses = []

    def listen(topics, take):
        queue = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
        for topic in topics:
            channel.queue_bind(queue, EXCHANGE, topic)
        channel.basic_consume(queue, lambda _, delivery, __, body: take(delivery.routing_key, body), auto_ack=True)

    def publish(messages):
        for topic, message in messages:
            properties = pika.BasicProperties(delivery_mode=1, priority=0)
            publisher.basic_publish(EXCHANGE, topic, json.dumps(message).encode("utf-8"), properties, mandatory=True)

    listen(["#"], judge.look)
    listen(["Status.Ready", "Status.Error"], lambda _, body: statuses.append(body))
    say({"ready": True})
    begins_at = time.monotonic() + PLAN["start_delay_s"]
    while time.monotonic() < begins_at:
        connection.process_data_events(time_limit=0.02)
    publish(manager.begin())
    while manager.state != "stopped":
        connection.process_data_events(time_limit=0.02)
        while statuses:
            publish(manager.handle(decoded(statuses.pop(0))))
        if manager.expires_at is not None and time.monotonic() >= manager.expires_at:
            publish(manager.expired())
    while not any(message.get("SimulationState") == "stopped" for _, message in heard):
        connection.process_data_events(time_limit=0.02)
    connection.close()
    return manager.reason


def work():
    """Manages the run; whatever goes wrong is told to the test."""
    global reason
    try:
        reason = manage(pika.BlockingConnection(pika.URLParameters(URL)))
    except Exception as error:
        violations.append(f"{NAME} broke off: {type(error).__name__}: {error}")
    over.set()


async def report():
    """What was heard and found, once the run is over."""
    ended = await asyncio.to_thread(over.wait, RUN_ENDS_WITHIN_S)
    return {"over": ended, "reason": reason, "violations": violations, "heard": heard}


reason = None
threading.Thread(target=work, daemon=True).start()
asyncio.run(converse({"report": report}))
