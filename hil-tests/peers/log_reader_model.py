"""A small model of the Log Reader of the Python platform, and of what its Log Writer puts into MongoDB.

Written from the wire contract, sections 5.1 to 5.3. It answers the way the contract says, with Python's own json and
csv, so that a test can compare bytes. What it answers with 400 is told by the status only.
"""

import asyncio
import csv
import datetime
import io
import json
import re
import sys
import urllib.parse

import pymongo

from conversation import converse, say

DATES = ("Timestamp", "StartTime", "EndTime")
MESSAGE_PARAMETERS = {"epoch", "startEpoch", "endEpoch", "fromSimDate", "toSimDate", "process", "topic", "onlyWarnings"}
SERIES_PARAMETERS = MESSAGE_PARAMETERS | {"attrs", "format"}


class Refused(Exception):
    """An answer without a result."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def date(text):
    value = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)


def spelled(value):
    return value.isoformat().replace("+00:00", "Z")


def stored(topic, body):
    """The document of a published message."""
    document = json.loads(body)
    for name in DATES:
        if name in document:
            document[name] = date(document[name])
    document["Topic"] = topic
    return document


def metadata(documents):
    states = [document for document in documents if document["Type"] == "SimState"]
    times = [document["Timestamp"] for document in documents]
    run = {
        "SimulationId": documents[0]["SimulationId"],
        "StartTime": min(times),
        "Epochs": max(document.get("EpochNumber", 0) for document in documents),
        "Processes": sorted({document["SourceProcessId"] for document in documents}),
        "Name": states[-1]["Name"],
        "Description": states[-1]["Description"],
    }
    if states[-1]["SimulationState"] == "stopped":
        run["EndTime"] = max(times)
    return run


class InMemory:
    """A run as a list, sorted stably."""

    def __init__(self, documents):
        self.documents = documents

    def find(self, condition, order):
        found = [document for document in self.documents if matches(document, condition)]
        present = [document for document in found if order in document]
        return [d for d in found if order not in d] + sorted(present, key=lambda document: document[order])


def matches(document, condition):
    for name, wanted in condition.items():
        value = document.get(name)
        if isinstance(wanted, dict):
            if "$exists" in wanted and (name in document) != wanted["$exists"]:
                return False
            if "$in" in wanted and value not in wanted["$in"]:
                return False
            if "$regex" in wanted and not (isinstance(value, str) and re.search(wanted["$regex"], value)):
                return False
            if "$gte" in wanted and not (value is not None and value >= wanted["$gte"]):
                return False
            if "$lte" in wanted and not (value is not None and value <= wanted["$lte"]):
                return False
        elif value != wanted:
            return False
    return True


class InMongo:
    """A run in MongoDB, asked in the terms of the contract, so that the server orders what is equal."""

    def __init__(self, database, run):
        self.messages = database[f"simulation_{run}"]

    def find(self, condition, order):
        return list(self.messages.find(condition, {"_id": 0}).sort(order, pymongo.ASCENDING))


def regex(pattern):
    return "^" + pattern.replace("*", "([^.]+)").replace("#", "([^.]+.?)+") + "$"


def whole(parameters, name):
    if name not in parameters:
        return None
    try:
        return int(parameters[name])
    except ValueError:
        raise Refused(400) from None


def moment(parameters, name):
    if name not in parameters:
        return None
    try:
        return date(parameters[name])
    except ValueError:
        raise Refused(400) from None


def epochs_of_dates(run, start, end):
    first = last = None
    spans = sorted(run.find({"Topic": "Epoch"}, "Timestamp"), key=lambda epoch: epoch["StartTime"])
    if start is not None:
        first = next((e["EpochNumber"] for e in spans if e["StartTime"] <= start < e["EndTime"]), None)
    if end is not None:
        last = next((e["EpochNumber"] for e in reversed(spans) if e["StartTime"] < end <= e["EndTime"]), None)
    return first, last


def condition_of(run, parameters):
    epoch, first, last = (whole(parameters, name) for name in ("epoch", "startEpoch", "endEpoch"))
    dates = [moment(parameters, name) for name in ("fromSimDate", "toSimDate")]
    if any(dates):
        epoch, (first, last) = None, epochs_of_dates(run, *dates)
    elif epoch is not None and last is not None:
        raise Refused(400)
    condition = {}
    if first is not None:
        condition["EpochNumber"] = {"$gte": first}
    elif epoch is not None:
        condition["EpochNumber"] = epoch
    if last is not None:
        condition.setdefault("EpochNumber", {})["$lte"] = last
    if "process" in parameters:
        condition["SourceProcessId"] = {"$in": parameters["process"].split(",")}
    if "topic" in parameters:
        condition["Topic"] = {"$regex": regex(parameters["topic"])}
    if parameters.get("onlyWarnings", "false") not in ("true", "false"):
        raise Refused(400)
    return condition


def messages(run, parameters):
    condition = condition_of(run, parameters)
    if parameters.get("onlyWarnings") == "true":
        condition["Warnings"] = {"$exists": True}
    return pretty(run.find(condition, "Timestamp"))


def points(value, start):
    """The points of a block or single value as {series: [(time, value)]}; the key None is a single value."""
    if isinstance(value, dict) and "Series" in value and "TimeIndex" in value:
        times = [date(text) for text in value["TimeIndex"]]
        return {name: list(zip(times, series["Values"])) for name, series in value["Series"].items()}
    if isinstance(value, dict) and "Value" in value and "UnitOfMeasure" in value:
        return {None: [(start, value["Value"])]}
    if isinstance(value, (str, bool, int, float)):
        return {None: [(start, value)]}
    return None


def time_series(run, parameters):
    form = parameters.get("format", "json")
    if form not in ("json", "csv") or not parameters.get("attrs"):
        raise Refused(400)
    found = [m for m in run.find(condition_of(run, parameters), "EpochNumber") if "EpochNumber" in m]
    starts = {epoch["EpochNumber"]: epoch["StartTime"] for epoch in run.find({"Topic": "Epoch"}, "Timestamp")}
    tree, cells, index = {}, {}, []
    for epoch in sorted({message["EpochNumber"] for message in found}):
        now = {}
        for message in (m for m in found if m["EpochNumber"] == epoch):
            process = tree.setdefault(message["Topic"], {}).setdefault(message["SourceProcessId"], {})
            for attribute in parameters["attrs"].split(","):
                parts, value, place = attribute.split("."), message, process
                path = (message["Topic"], message["SourceProcessId"])
                for depth, part in enumerate(parts):
                    value = value.get(part) if isinstance(value, dict) else None
                    if value is None:
                        break
                    series = points(value, starts.get(epoch))
                    path += (part,)
                    if series is None:
                        place = place.setdefault(part, {})
                        continue
                    if None in series:
                        if depth < len(parts) - 1:
                            raise Refused(400)
                        place.setdefault(part, path)
                        now[path] = series[None]
                        break
                    place = place.setdefault(part, {})
                    for name in series if depth == len(parts) - 1 else [parts[-1]]:
                        if name in series:
                            place.setdefault(name, path + (name,))
                            now[path + (name,)] = series[name]
                    break
        for time in sorted({time for series in now.values() for time, _ in series}):
            row = len(index)
            index.append({"epoch": epoch, "timestamp": time})
            for path, series in now.items():
                for at, value in series:
                    if at == time:
                        cells.setdefault(path, {})[row] = value
    columns = filled(tree, cells, len(index))
    if form == "json":
        return "application/json", pretty({"TimeIndex": index, **columns})
    return "text/csv", table(index, columns)


def filled(tree, cells, rows):
    if isinstance(tree, tuple):
        return [cells.get(tree, {}).get(row) for row in range(rows)]
    return {name: filled(below, cells, rows) for name, below in tree.items()}


def flat(tree, title):
    """The columns below a place, with their titles."""
    if isinstance(tree, list):
        yield title, tree
        return
    for name, below in tree.items():
        yield from flat(below, f"{title}.{name}")


def table(index, columns):
    titled = []
    for topic, processes in columns.items():
        for process, below in processes.items():
            titled.extend(flat(below, f"{topic}:{process}"))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";")
    writer.writerow(["epoch", "timestamp"] + [title for title, _ in titled])
    for row, point in enumerate(index):
        writer.writerow([point["epoch"], spelled(point["timestamp"])] + [cells[row] for _, cells in titled])
    return out.getvalue()


def pretty(value):
    return json.dumps(value, default=spelled, ensure_ascii=False, sort_keys=True, indent=4)


RUNS = {}


def keep(run, sent_file, url=None, database=None):
    """Takes a run: in memory, or in MongoDB as the Python Log Writer leaves it behind."""
    with open(sent_file, encoding="utf-8") as lines:
        documents = [stored(**json.loads(line)) for line in lines]
    if url is None:
        RUNS[run] = (InMemory(documents), metadata(documents))
        return {}
    base = pymongo.MongoClient(url, tz_aware=True)[database]
    base["simulations"].insert_one(dict(metadata(documents)))
    collection = base[f"simulation_{run}"]
    for start in range(0, len(documents), 20):
        collection.insert_many([dict(document) for document in documents[start:start + 20]])
    ascending = lambda *names: [(name, pymongo.ASCENDING) for name in names]
    collection.create_index(ascending("EpochNumber", "SourceProcessId", "Topic"), name="epoch_index")
    collection.create_index(ascending("SourceProcessId", "Topic"), name="process_index")
    collection.create_index(ascending("Topic", "StartTime"), name="topic_index")
    RUNS[run] = (InMongo(base, run), metadata(documents))
    return {}


def answer(target):
    """What the Log Reader answers to GET."""
    path, _, query = target.partition("?")
    pairs = urllib.parse.parse_qsl(query)
    parameters = {}
    for name, value in pairs:
        parameters[name] = f"{parameters[name]},{value}" if name == "process" and name in parameters else value
    steps = [urllib.parse.unquote(step) for step in path.strip("/").split("/")]
    try:
        if steps[1] not in RUNS:
            raise Refused(404)
        run, about = RUNS[steps[1]]
        kind, body = "application/json", None
        if steps[2:] == []:
            body = pretty(about)
        elif steps[2:] == ["messages"] and parameters.keys() <= MESSAGE_PARAMETERS:
            body = messages(run, parameters)
        elif steps[2:] == ["timeseries"] and parameters.keys() <= SERIES_PARAMETERS:
            kind, body = time_series(run, parameters)
        if body is None:
            raise Refused(400)
        return {"status": 200, "type": kind, "body": body}
    except Refused as refused:
        return {"status": refused.status}


if __name__ == "__main__":
    say({"ready": True})
    asyncio.run(converse({"keep": keep, "answer": answer}))
