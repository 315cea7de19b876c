"""Sends and receives with the unmodified `azure-eventhub` package 5.11 (pyamqp), over AMQP and WebSocket.

Settings come from the environment (`doppel env` prints them), one `ok` / `not ok` line a check, and the last line is
"N passed, N failed". No retries: an answer the SDK does not understand is a failure, not half a minute of waiting.
"""

import datetime
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid

from azure.core.credentials import AccessToken
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType
from azure.eventhub.exceptions import AuthenticationError, EventDataSendError, EventHubError

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
    one(first, starting_position=first.offset, starting_position_inclusive=True)
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


def too_large():
    with producer() as client:
        batch = client.create_batch(partition_id="0")
        try:
            batch.add(EventData(b"x" * (batch.max_size_in_bytes + 1)))
        except ValueError:
            pass
        else:
            raise AssertionError("a batch takes more than it can hold")
        try:
            client.send_event(EventData(b"x" * 1_100_000), partition_id="0")
        except (ValueError, EventDataSendError):
            pass
        else:
            raise AssertionError("it was accepted")
        client.send_event(EventData("small"), partition_id="0")  # the client goes on


def refused(kind, connection=CONNECTION, **options):
    try:
        with EventHubProducerClient.from_connection_string(connection, **{**OPTIONS, **options}) as client:
            client.get_eventhub_properties()
    except kind:
        return
    raise AssertionError("it was let in")


def wrong_key():
    head, _, _ = CONNECTION.partition("SharedAccessKey=")
    refused(AuthenticationError, head + "SharedAccessKey=d3Jvbmc=")


class Credential:
    """A service principal's tokens, as azure-identity gets them."""

    def get_token(self, *scopes, **_):
        form = {"grant_type": "client_credentials", "client_id": os.environ["DOPPEL_CLIENT_ID"],
                "client_secret": os.environ["DOPPEL_CLIENT_SECRET"], "scope": " ".join(scopes)}
        request = urllib.request.Request(
            f"{os.environ['DOPPEL_AUTHORITY']}/{os.environ['DOPPEL_TENANT']}/oauth2/v2.0/token",
            urllib.parse.urlencode(form).encode())
        with urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context(cafile=CA)) as answer:
            told = json.load(answer)
        return AccessToken(told["access_token"], int(time.time()) + int(told["expires_in"]))


def bearer_token():
    tokens = {"fully_qualified_namespace": "localhost", "credential": Credential(), **OPTIONS}
    with EventHubProducerClient(**tokens) as client:
        before = client.get_partition_properties("0")["last_enqueued_sequence_number"]
        client.send_event(EventData("with a token"), partition_id="0")
    client, got, error = EventHubConsumerClient(consumer_group="$Default", **tokens), [], []
    done = threading.Event()

    def on_event(_, event):
        if event is not None:
            got.append(event.body_as_str())
            done.set()

    def on_error(_, why):
        error.append(why)
        done.set()

    worker = threading.Thread(target=client.receive, daemon=True, kwargs={
        "on_event": on_event, "on_error": on_error, "partition_id": "0", "starting_position": before})
    worker.start()
    done.wait(8)
    client.close()
    worker.join(5)
    if error:
        raise error[0]
    expect(got[:1], ["with a token"], "what was received")


def owner_level_too_low():
    """Whoever comes with a lower level than the owner's is refused."""
    lost, owning = threading.Event(), threading.Event()
    owner, late = consumer(), consumer()
    threading.Thread(target=owner.receive, daemon=True, kwargs={
        "on_event": lambda *_: None, "on_partition_initialize": lambda _: owning.set(), "partition_id": "0", "owner_level": 5,
        "starting_position": "@latest"}).start()
    owning.wait(8)
    time.sleep(1)  # the SDK says so before it attaches
    threading.Thread(target=late.receive, daemon=True, kwargs={
        "on_event": lambda *_: None, "on_error": lambda *_: lost.set(), "partition_id": "0", "owner_level": 4,
        "starting_position": "@latest"}).start()
    told = lost.wait(8)
    late.close()
    owner.close()
    expect(told, True, "whether the late reader was told")


check("properties of the event hub and of a partition", properties)
check("a single event moves the sequence number by one", single)
events = check("earliest returns events with their properties", earliest)
if events:
    check("after an offset, from a sequence number, from a time", lambda: positions(*events))
check("a partition key keeps its events together, in order", partition_key)
check("latest sees only what comes after", latest)
check("a reader of a higher owner level takes the partition", owner_level)
check("a reader of a lower owner level is refused", owner_level_too_low)
check("an event that is too large is refused and the client goes on", too_large)
check("a wrong key is refused", wrong_key)
check("an event hub that is not there", lambda: refused(EventHubError, eventhub_name=TAG))
check("a bearer token sends and receives", bearer_token)
print(f"{passed} passed, {failed} failed", flush=True)
os._exit(0 if failed == 0 else 1)
