"""What the Log Reader of the Python platform does with a run in MongoDB, and whether it finds what was published.

Written from the wire contract, sections 5.1 and 5.2, on the plain driver. Every deviation from the layout is an error.
"""

import asyncio
import datetime
import json
import re
import sys

import pymongo

from conversation import converse, say

DATE_FIELDS = ("Timestamp", "StartTime", "EndTime")
METADATA_FIELDS = {"SimulationId", "StartTime", "EndTime", "Name", "Description", "Epochs", "Processes"}
METADATA_INDEXES = {
    "simulation_id_index": {"key": [("SimulationId", 1)], "unique": True},
    "start_time_index": {"key": [("StartTime", 1), ("EndTime", 1)]},
    "end_time_index": {"key": [("EndTime", 1)], "sparse": True},
}
MESSAGE_INDEXES = {
    "epoch_index": {"key": [("EpochNumber", 1), ("SourceProcessId", 1), ("Topic", 1)]},
    "process_index": {"key": [("SourceProcessId", 1), ("Topic", 1)]},
    "topic_index": {"key": [("Topic", 1), ("StartTime", 1)]},
}
INVALID_INDEXES = {
    "topic_index": {"key": [("Topic", 1), ("Timestamp", 1)]},
    "timestamp_index": {"key": [("Timestamp", 1)]},
}
# Beyond the contract; readers sort by it.
TIMESTAMP_INDEX = {"timestamp_index": {"key": [("Timestamp", 1)]}}


def demand(holds, what):
    if not holds:
        raise AssertionError(what)


def date(text):
    """The time that a text spells, to the millisecond."""
    time = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def stored_form(sent):
    """The document that a published message must have become."""
    document = json.loads(sent["body"])
    for field in DATE_FIELDS:
        try:
            document[field] = date(document[field])
        except (KeyError, ValueError, TypeError, AttributeError):
            pass
    document["Topic"] = sent["topic"]
    if document.get("Warnings") in ([], None):
        document.pop("Warnings", None)
    return document


def same(expected, found):
    """Whether two values are the same, of the same kind, to the last bit."""
    if isinstance(expected, dict):
        return (isinstance(found, dict) and expected.keys() == found.keys()
                and all(same(value, found[key]) for key, value in expected.items()))
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(same, expected, found))
    if type(expected) is int and not -2**63 <= expected < 2**63:
        # No integer of MongoDB's: digits, or a double that is exactly it.
        return str(expected) == found or (type(found) is float and int(found) == expected)
    if isinstance(expected, float) and expected != expected:
        return found == "NaN"
    if type(expected) is int:
        # The driver has a type of its own for integers of 64 bits.
        return isinstance(found, int) and not isinstance(found, bool) and expected == found
    return type(expected) is type(found) and expected == found


def in_json(value):
    """The value as the reader hands it out; fails on what JSON does not have."""
    if isinstance(value, datetime.datetime):
        demand(value.tzinfo is not None, "a date without its zone")
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: in_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_json(item) for item in value]
    demand(value is None or isinstance(value, (str, int, float)), f"a value of type {type(value)}")
    return value


def check_indexes(collection, required, allowed):
    found = {name: index for name, index in collection.index_information().items() if name != "_id_"}
    demand(required.keys() <= found.keys(), f"{collection.name}: indexes {sorted(found)}")
    known = {**required, **allowed}
    demand(found.keys() <= known.keys(), f"{collection.name}: unknown indexes among {sorted(found)}")
    for name, index in found.items():
        plain = {key: value for key, value in index.items() if key in ("key", "unique", "sparse") and value}
        plain["key"] = [tuple(pair) for pair in index["key"]]
        demand(plain == known[name], f"{collection.name}: {name} is {index}")


def check_metadata(database, run, sent, stopped):
    found = list(database["simulations"].find({"SimulationId": run}, {"_id": 0}))
    demand(len(found) == 1, f"{len(found)} metadata documents")
    metadata = found[0]
    messages = [stored_form(message) for message in sent]
    times = [message["Timestamp"] for message in messages if "Timestamp" in message]
    if len(times) < len(messages):
        # Who does not say when has the time of the writer.
        times += database[f"simulation_{run}"].distinct("Timestamp")
    expected = {
        "SimulationId": run,
        "StartTime": min(times),
        "Epochs": max(message.get("EpochNumber", 0) for message in messages),
        "Processes": sorted({m["SourceProcessId"] for m in messages if "SourceProcessId" in m}),
    }
    if stopped:
        expected["EndTime"] = max(times)
    for message in messages:
        if message["Type"] == "SimState":
            expected.update({key: message[key] for key in ("Name", "Description") if key in message})
    demand(same(expected, metadata), f"metadata {metadata}, expected {expected}")
    demand(metadata.keys() <= METADATA_FIELDS, f"metadata with {sorted(metadata)}")
    in_json(metadata)


def check_queries(collection, messages):
    """The filters of the REST interface as the reader translates them."""
    filters = [({}, lambda m: True)]
    for epoch in sorted({m["EpochNumber"] for m in messages if "EpochNumber" in m})[:3]:
        filters.append(({"EpochNumber": epoch}, lambda m, e=epoch: m.get("EpochNumber") == e))
        span = {"EpochNumber": {"$gte": epoch, "$lte": epoch + 1}}
        filters.append((span, lambda m, e=epoch: "EpochNumber" in m and e <= m["EpochNumber"] <= e + 1))
    names = sorted({m["SourceProcessId"] for m in messages if "SourceProcessId" in m})[:2]
    filters.append(({"SourceProcessId": {"$in": names}}, lambda m: m.get("SourceProcessId") in names))
    pattern = "^ResourceState\\..*$"
    filters.append(({"Topic": {"$regex": pattern}}, lambda m: re.match(pattern, m["Topic"])))
    filters.append(({"Warnings": {"$exists": True}}, lambda m: "Warnings" in m))
    for query, wanted in filters:
        found = list(collection.find(query, {"_id": 0}).sort("Timestamp", pymongo.ASCENDING))
        expected = [message for message in messages if wanted(message)]
        demand(len(found) == len(expected), f"{query}: {len(found)} instead of {len(expected)} messages")
        times = [message["Timestamp"] for message in found]
        demand(times == sorted(times), f"{query}: not in the order of Timestamp")
        in_json(found)


def check_messages(collection, sent):
    by_key = {}
    for document in collection.find({}, {"_id": 0}):
        demand("_id" not in document, "an _id in spite of the projection")
        demand(isinstance(document.get("Timestamp"), datetime.datetime), "a Timestamp that is no date")
        by_key.setdefault((document["Topic"], document.get("MessageId")), []).append(document)
    expected = [stored_form(message) for message in sent]
    for message in expected:
        candidates = by_key.get((message["Topic"], message.get("MessageId")), [])
        if "Timestamp" not in message:
            candidates = [{**c, "Timestamp": None} for c in candidates]
            message = {**message, "Timestamp": None}
        demand(any(same(message, found) for found in candidates),
               f"{str(message)[:500]} was sent; there is {str(candidates)[:500]}")
    stored = sum(map(len, by_key.values()))
    demand(stored == len(expected), f"{stored} documents of {len(expected)} messages")
    return [{"Timestamp": None, **message} for message in expected]


def check_invalid(database, run, count):
    collection = database[f"invalid_simulation_{run}"]
    found = list(collection.find({}, {"_id": 0}).sort("Timestamp", pymongo.ASCENDING))
    demand(len(found) == count, f"{len(found)} invalid messages instead of {count}: {str(found)[:2000]}")
    for document in found:
        content = [key for key in ("InvalidMessage", "InvalidJsonMessage") if key in document]
        demand(len(content) == 1, f"an invalid message with {sorted(document)}")
        kind = dict if content == ["InvalidMessage"] else str
        demand(type(document[content[0]]) is kind, f"{content[0]} is no {kind}")
        demand(isinstance(document["Timestamp"], datetime.datetime), "an invalid message without a date")
        demand(isinstance(document["Topic"], str), "an invalid message without its topic")
        in_json(document)
    if count:
        check_indexes(collection, INVALID_INDEXES, {})
    return [document.get("InvalidJsonMessage", document.get("InvalidMessage")) for document in found]


def check(url, database, run, sent_file, invalid, stopped):
    """Checks one run; `sent_file` has one {"topic", "body"} a line, each valid message once."""
    with open(sent_file, encoding="utf-8") as lines:
        sent = [json.loads(line) for line in lines]
    with pymongo.MongoClient(url, tz_aware=True) as client:
        base = client[database]
        names = set(base.list_collection_names())
        allowed = {"simulations", f"simulation_{run}"} | ({f"invalid_simulation_{run}"} if invalid else set())
        demand(names == allowed, f"collections {sorted(names)}")
        collection = base[f"simulation_{run}"]
        messages = check_messages(collection, sent)
        check_queries(collection, messages)
        check_metadata(base, run, sent, stopped)
        check_indexes(base["simulations"], METADATA_INDEXES, {})
        check_indexes(collection, MESSAGE_INDEXES, TIMESTAMP_INDEX)
        return {"messages": len(messages), "invalid": [str(it)[:200] for it in check_invalid(base, run, invalid)]}


def count(url, database, run):
    """How many documents a run has."""
    with pymongo.MongoClient(url, tz_aware=True, serverSelectionTimeoutMS=5000) as client:
        return {"messages": client[database][f"simulation_{run}"].count_documents({})}


def spoil(url, database, run):
    """Changes one message behind the writer's back: a check that then passes is no check."""
    with pymongo.MongoClient(url) as client:
        collection = client[database][f"simulation_{run}"]
        victim = collection.find_one({"Type": "Epoch"})
        collection.update_one({"_id": victim["_id"]}, {"$set": {"EndTime": str(victim["EndTime"])}})
    return {}


if __name__ == "__main__":
    sys.set_int_max_str_digits(0)
    say({"ready": True})
    asyncio.run(converse({"check": check, "count": count, "spoil": spoil}))
