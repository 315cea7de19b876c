"""Sends and receives with the unmodified `azure-eventhub` package 5.11 (pyamqp), over AMQP and WebSocket.

Settings come from the environment (`doppel env` prints them), one `ok` / `not ok` line a check, and the last line is
"N passed, N failed". No retries: an answer the SDK does not understand is a failure, not half a minute of waiting.
"""

import datetime
import os
import sys
import threading
import time
import uuid

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType

TRANSPORT = sys.argv[1]  # "amqp" or "websocket"
CONNECTION = os.environ["DOPPEL_EH_CONNECTION"]
NAME = os.environ["DOPPEL_EH_NAME"]
PARTITIONS = int(os.environ["DOPPEL_EH_PARTITIONS"])
CA = os.environ["CA_FILE"]
OPTIONS = {"eventhub_name": NAME, "connection_verify": CA, "retry_total": 0}
if TRANSPORT == "websocket":
    # The only way to a port other than 443, and it means WebSocket.
    OPTIONS["transport_type"] = TransportType.AmqpOverWebsocket
    OPTIONS["custom_endpoint_address"] = "https://localhost:" + os.environ["DOPPEL_HTTPS_PORT"]
TAG = uuid.uuid4().hex[:8]
SLOW_S = 20  # a check that takes longer hides a failure behind a retry

passed = failed = 0


def check(title, action):
    """Runs one check; what it returns is remembered as its result, an exception fails it."""
    global passed, failed
    began = time.monotonic()
    try:
        result = action()
        took = time.monotonic() - began
        if took > SLOW_S:
            raise AssertionError(f"it took {took:.0f} s")
    except Exception as error:  # any error of the SDK is a failed check, and told
        failed += 1
        print(f"  not ok - {TRANSPORT}: {title}: {type(error).__name__}: {error}", flush=True)
        return None
    passed += 1
    print(f"  ok - {TRANSPORT}: {title}", flush=True)
    return result


def expect(actual, wanted, what):
    if actual != wanted:
        raise AssertionError(f"{what} is {actual!r}, not {wanted!r}")


def producer():
    return EventHubProducerClient.from_connection_string(CONNECTION, **OPTIONS)


def consumer():
    return EventHubConsumerClient.from_connection_string(CONNECTION, "$Default", **OPTIONS)


def send(bodies, **where):
    with producer() as client:
        batch = client.create_batch(**where)
        for body in bodies:
            event = EventData(body)
            event.properties = {"tag": TAG, "number": 5}
            batch.add(event)
        client.send_batch(batch)


def read(enough, partition="0", wait_s=8, then=None, **position):
    """Events of one partition until `enough(events)`."""
    got, error = [], []
    done = threading.Event()
    client = consumer()

    def on_event(_, event):
        if event is not None:
            got.append(event)
            if enough(got):
                done.set()

    def on_error(_, why):
        error.append(why)
        done.set()

    worker = threading.Thread(
        target=client.receive,
        kwargs={"on_event": on_event, "on_error": on_error, "partition_id": partition, **position},
        daemon=True,
    )
    worker.start()
    if then:
        then()
    done.wait(wait_s)
    client.close()
    worker.join(5)
    if error:
        raise error[0]
    return got


def mine(events, body):
    return next((e for e in events if e.body_as_str() == body and e.properties.get(b"tag") == TAG.encode()), None)


def properties():
    with producer() as client:
        hub = client.get_eventhub_properties()
        expect(hub["eventhub_name"], NAME, "the name")
        expect(hub["partition_ids"], [str(i) for i in range(PARTITIONS)], "the list of partitions")
        part = client.get_partition_properties("0")
        expect(part["id"], "0", "the partition")
        if not isinstance(part["last_enqueued_sequence_number"], int):
            raise AssertionError("the sequence number is no number")


def sequence():
    return sequences()[0]


def single():
    before = sequence()
    with producer() as client:
        event = EventData("single")
        event.properties = {"tag": TAG}
        client.send_event(event, partition_id="0")
    expect(sequence(), before + 1, "the last sequence number")


def earliest():
    send(["first", "second"], partition_id="0")
    got = read(lambda g: mine(g, "second"), starting_position="-1")
    first, second = mine(got, "first"), mine(got, "second")
    if not first or not second:
        raise AssertionError("the events were not seen")
    expect(second.sequence_number, first.sequence_number + 1, "the second's sequence number")
    expect(first.properties[b"number"], 5, "a property that is a number")
    if not isinstance(first.enqueued_time, datetime.datetime):
        raise AssertionError("there is no enqueued time")
    return first, second


def positions(first, second):
    def one(wanted, **position):
        got = read(lambda g: len(g) > 0, **position)
        expect(got[0].sequence_number if got else None, wanted.sequence_number, f"the first event of {position}")

    one(second, starting_position=first.offset)
    one(first, starting_position=first.sequence_number, starting_position_inclusive=True)
    one(second, starting_position=first.sequence_number)
    before = first.enqueued_time - datetime.timedelta(milliseconds=5)
    got = read(lambda g: mine(g, "second"), starting_position=before)
    if not mine(got, "first"):
        raise AssertionError("the event after the time was not seen")


def sequences():
    with producer() as client:
        return [client.get_partition_properties(str(i))["last_enqueued_sequence_number"] for i in range(PARTITIONS)]


def partition_key():
    before = sequences()
    send([f"k{i}" for i in range(5)], partition_key=TAG)
    moved = [(i, old, new) for i, (old, new) in enumerate(zip(before, sequences())) if new != old]
    expect([new - old for _, old, new in moved], [5], "how far which partitions moved")
    partition, old, _ = moved[0]
    got = read(lambda g: mine(g, "k4"), partition=str(partition), starting_position=old)
    expect([e.body_as_str() for e in got], [f"k{i}" for i in range(5)], "the order")
    expect({e.partition_key for e in got}, {TAG.encode()}, "the key")


def latest():
    send(["old"], partition_id="0")
    got = read(
        lambda g: mine(g, "new"),
        starting_position="@latest",
        then=lambda: (time.sleep(2.5), send(["new"], partition_id="0")),
    )
    if not mine(got, "new") or mine(got, "old"):
        raise AssertionError(f"saw {[e.body_as_str() for e in got]}")


def owner_level():
    lost = threading.Event()
    one, two = consumer(), consumer()
    for client, level, on_error in ((one, 1, lambda *_: lost.set()), (two, 2, lambda *_: None)):
        threading.Thread(
            target=client.receive,
            kwargs={"on_event": lambda *_: None, "on_error": on_error, "partition_id": "0", "owner_level": level,
                    "starting_position": "@latest"},
            daemon=True,
        ).start()
        time.sleep(2)
    stolen = lost.wait(8)
    two.close()
    one.close()
    expect(stolen, True, "whether the first reader was told")


check("properties of the event hub and of a partition", properties)
check("a single event moves the sequence number by one", single)
events = check("earliest returns events with their properties", earliest)
if events:
    check("after an offset, from a sequence number, from a time", lambda: positions(*events))
check("a partition key keeps its events together, in order", partition_key)
check("latest sees only what comes after", latest)
check("a reader of a higher owner level takes the partition", owner_level)
print(f"{passed} passed, {failed} failed", flush=True)
os._exit(0 if failed == 0 else 1)
