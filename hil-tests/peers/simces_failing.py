"""A SimCES component written from the wire contract with pika that fails, with or without saying why.

`simces_failing.py URL EXCHANGE SIMULATION_ID NAME EPOCH DESCRIPTION`: it is ready for every epoch up to EPOCH, which it
answers with Status error; an empty DESCRIPTION is left out of the message. It is ready when its queue is bound, and
answers the question `report` when the run is over.
"""

import asyncio
import json
import sys
import threading
from datetime import datetime, timezone

import pika
from conversation import converse, say

URL, EXCHANGE, SIMULATION_ID, NAME, EPOCH, DESCRIPTION = sys.argv[1:]
RUN_ENDS_WITHIN_S = 120

stopped = threading.Event()


def status(number, message):
    """The answer to SimState running or an Epoch: topic and message."""
    epoch = message.get("EpochNumber", 0)
    fails = epoch == int(EPOCH)
    answer = {
        "Type": "Status",
        "SimulationId": SIMULATION_ID,
        "Timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SourceProcessId": NAME,
        "MessageId": f"{NAME}-{number}",
        "EpochNumber": epoch,
        "TriggeringMessageIds": [message["MessageId"]],
        "Value": "error" if fails else "ready",
    }
    if fails and DESCRIPTION:
        answer["Description"] = DESCRIPTION
    return "Status.Error" if fails else "Status.Ready", answer


def take_part(connection):
    """Listens and answers until the run is over."""
    channel = connection.channel()
    channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=False, auto_delete=True)
    queue = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
    for topic in ("SimState", "Epoch"):
        channel.queue_bind(queue, EXCHANGE, topic)
    say({"ready": True})
    number = 0
    for delivery, _, body in channel.consume(queue):
        channel.basic_ack(delivery.delivery_tag)
        message = json.loads(body)
        if message.get("SimulationState") == "stopped":
            break
        number += 1
        topic, answer = status(number, message)
        channel.basic_publish(EXCHANGE, topic, json.dumps(answer).encode("utf-8"))
    connection.close()


def work():
    """Takes part in the run to its end."""
    take_part(pika.BlockingConnection(pika.URLParameters(URL)))
    stopped.set()


async def report():
    """Whether the run was ended by word."""
    return {"stopped": await asyncio.to_thread(stopped.wait, RUN_ENDS_WITHIN_S)}


threading.Thread(target=work, daemon=True).start()
asyncio.run(converse({"report": report}))
