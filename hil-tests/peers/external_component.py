"""External components: they run already, and join a run when Start names them.

`external_component.py URL MANAGEMENT_EXCHANGE TYPE` is ready when its queue is bound to Start. When a Start comes, every
process under ProcessParameters.TYPE becomes a component of that run, as simces_component.py is one. The question
`report` waits for Start and then for the end of the run.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlparse

import pika
from conversation import converse, say

ENDS_WITHIN_S = 120


class External:
    """Waits for one Start."""

    def __init__(self, url, exchange, kind):
        self.url, self.exchange, self.kind = url, exchange, kind
        self.start = None
        self.reports = []
        self.done = threading.Event()

    def wait(self):
        """Binds to Start, takes the first one, and runs the components that it names."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        channel = connection.channel()
        channel.exchange_declare(self.exchange, exchange_type="topic", durable=True, auto_delete=False)
        queue = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
        channel.queue_bind(queue, self.exchange, "Start")
        say({"ready": True})
        for delivery, _, body in channel.consume(queue):
            channel.basic_ack(delivery.delivery_tag)
            self.start = json.loads(body)
            break
        connection.close()
        names = list(self.start["ProcessParameters"].get(self.kind, {}))
        started = [self.component(name) for name in names]
        for process in started:
            output, complaints = process.communicate(timeout=ENDS_WITHIN_S)
            self.reports.append({"code": process.returncode, "report": output, "complaints": complaints})
        self.done.set()

    def component(self, name):
        """Joins the run with the flags of its exchange."""
        place = urlparse(self.url)
        variables = {
            "PATH": os.environ.get("PATH", ""),
            "RABBITMQ_HOST": place.hostname,
            "RABBITMQ_PORT": str(place.port),
            "RABBITMQ_EXCHANGE": self.start["SimulationSpecificExchange"],
            "RABBITMQ_EXCHANGE_AUTODELETE": "True",
            "RABBITMQ_EXCHANGE_DURABLE": "False",
            "SIMULATION_ID": self.start["SimulationId"],
            "SIMULATION_COMPONENT_NAME": name,
        }
        script = Path(__file__).with_name("simces_component.py")
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, str(script)], env=variables, stdout=pipe, stderr=pipe, text=True)


async def main():
    """Serves the test."""
    external = External(*sys.argv[1:])
    threading.Thread(target=external.wait, daemon=True).start()

    async def report():
        over = await asyncio.to_thread(external.done.wait, ENDS_WITHIN_S)
        return {"over": over, "start": external.start, "components": external.reports}

    await converse({"report": report})


asyncio.run(main())
