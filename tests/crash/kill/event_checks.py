"""What must hold of an event hub after a crash. Each function returns what is broken, as sentences."""

import copy
import random

from . import amqp, event_load
from .event_load import HUB, PARTITIONS, event_id


def heads(world):
    """The last sequence number of each partition, -1 of an empty one."""
    connection, found = event_load.connect(world, random.Random(0)), []
    for partition in range(PARTITIONS):
        status, body = connection.request("$management", {"operation": "READ", "name": HUB, "partition": str(partition),
                                                          "type": "com.microsoft:partition"})
        if status != 200:
            raise event_load.Unexpected(f"$management answers {status} for partition {partition}")
        found.append(body["last_enqueued_sequence_number"])
    connection.close()
    return found


def after_restart(world, hub):
    """Lets the consumer catch up, reads everything again and judges it. Returns what is broken and how many events there are."""
    ends = heads(world)
    for partition, seen in enumerate(hub.consumer.seen):
        if len(seen) > ends[partition] + 1:
            return [f"partition {partition} ends at {ends[partition]}, and {len(seen)} of its events were delivered before the kill"], 0
    hub.consumer.catch_up(world, ends)
    log = event_load.Consumer()  # it demands sequence numbers without holes, from 0 on
    log.catch_up(world, ends)
    return judge(log.seen, hub.consumer.seen, hub.all_streams()), sum(map(len, log.seen))


def judge(log, seen, streams):
    """`log` and `seen`: event IDs of each partition, in order."""
    broken, places = [], {}
    for partition, events in enumerate(log):
        for sequence, name in enumerate(events):
            stream, _, number = name.rpartition("#")
            places.setdefault(stream, []).append((int(number), partition, sequence))
        if seen[partition] != events:
            at = next((i for i, (a, b) in enumerate(zip(seen[partition], events)) if a != b), min(len(events), len(seen[partition])))
            broken.append(f"partition {partition}: the consumer saw something else from {at} on: {seen[partition][at:at + 3]}, "
                          f"in the log {events[at:at + 3]}")
    for stream in streams:
        broken += _stream(stream, places.pop(stream.name, []))
    if places:
        broken.append(f"events that nobody sent: {list(places)[:5]}")
    return broken


def _stream(stream, places):
    """`places`: number, partition and sequence number of each of its events, by partition and sequence number."""
    broken = []
    where = {number: (partition, sequence) for number, partition, sequence in places}
    if len(where) != len(places):
        numbers = [number for number, _, _ in places]
        broken.append(f"{stream.name}: twice in the log: {sorted({n for n in numbers if numbers.count(n) > 1})}")
    partitions = {partition for partition, _ in where.values()}
    if stream.partition is not None and partitions - {stream.partition}:
        broken.append(f"{stream.name}: sent to partition {stream.partition}, found in {partitions}")
    if stream.has_key and len(partitions) > 1:
        broken.append(f"{stream.name}: one key, partitions {partitions}")
    for partition in partitions:
        numbers = [number for number, one, _ in places if one == partition]
        if numbers != sorted(numbers):
            broken.append(f"{stream.name}: out of order in partition {partition}: {numbers}")
    known, last = set(), 0
    for first, count in stream.deliveries:
        numbers = range(first, first + count)
        there = [where[number] for number in numbers if number in where]
        known.update(numbers)
        if first in stream.accepted and len(there) != count:
            broken.append(f"{stream.name}: {first} to {first + count - 1} accepted, {len(there)} of them in the log")
        elif first in stream.refused and there:
            broken.append(f"{stream.name}: {first} to {first + count - 1} refused and in the log")
        elif there and there != [(there[0][0], there[0][1] + i) for i in range(count)]:
            broken.append(f"{stream.name}: the batch {first} to {first + count - 1} is torn: {there}")
        if there and last != first - 1 and (stream.has_key or stream.partition is not None):
            broken.append(f"{stream.name}: {first} is there, the delivery before it is not")
        if there or first in stream.refused:
            last = first + count - 1
    if set(where) - known:
        broken.append(f"{stream.name}: events that were never sent: {sorted(set(where) - known)[:5]}")
    return broken


def unnoticed_lies(hub):
    """Forges the log, and what senders were told; what the checks believe of it is returned."""
    true_log, lies = hub.consumer.seen, []
    if judge(true_log, true_log, hub.all_streams()):
        return ["the truth is refused"]

    def lie(what, log=true_log, seen=None, streams=None):
        if not judge(log, log if seen is None else seen, streams or hub.all_streams()):
            lies.append(f"nobody noticed {what}")

    def forged(change):
        log = copy.deepcopy(true_log)
        change(log[partition])
        return log

    partition = max(range(PARTITIONS), key=lambda one: len(true_log[one]))
    stream = next(one for one in hub.all_streams() if one.accepted)
    claim = copy.deepcopy(stream)
    claim.accepted.add(claim.add(1)[0])
    lie("an event that was never accepted", streams=[claim if one is stream else one for one in hub.all_streams()])
    produced = next(one.stream for one in hub.producers if one.stream.accepted)
    name = event_id(produced.name, min(produced.accepted))
    at = true_log[produced.partition].index(name)
    twice = copy.deepcopy(true_log)
    twice[produced.partition].insert(at, name)
    lie("a repetition that was stored again", log=twice)
    lie("an event of nobody", log=forged(lambda events: events.append("nobody#1")))
    lie("a consumer with a gap", seen=forged(lambda events: events.pop(len(events) // 2)))
    batched = next((one for one in hub.all_streams() for first, count in one.deliveries if count > 1 and first in one.accepted), None)
    if batched:
        first = next(first for first, count in batched.deliveries if count > 1 and first in batched.accepted)
        torn = [[name for name in events if name != event_id(batched.name, first)] for events in true_log]
        unknowing = copy.deepcopy(batched)
        unknowing.accepted = set()
        lie("half a batch", log=torn, streams=[unknowing if one is batched else one for one in hub.all_streams()])
    return lies
