"""The load on an event hub over AMQP: senders of single events and of batches, idempotent producers that repeat what got no
answer, and a consumer that goes on where it left. Each writes down what it was told; event_checks.py judges."""

import random
import threading
import traceback

from . import amqp

HUB, PARTITIONS = "crash", 4
SENDERS, PRODUCERS = 2, 2
WINDOW_MAX = 8        # deliveries under way
DELIVERIES_MAX = 40   # per connection
BATCH_MAX = 6
LARGE_SHARE, LARGE_BYTES = 0.05, 100_000  # events of more than one frame
VANISHING_SHARE, HEEDLESS_SHARE, NEW_EPOCH_SHARE, REPEATED_SHARE, REATTACH_SHARE = 0.2, 0.3, 0.2, 0.3, 0.05
CREDIT = 40
BUSY = "com.microsoft:server-busy"
PRODUCER = "com.microsoft:producer-"
CUT = (OSError, EOFError)


def connect(world, rng):
    """Over TLS or without."""
    user, key = world.events_key
    if rng.random() < 0.5:
        return amqp.Connection(world.host, world.amqp_port, user, key, world.ca_file)
    return amqp.Connection(world.host, world.amqp_plain_port, user, key)


def event_id(name, number):
    return f"{name}#{number}"


def _body(rng):
    return rng.randbytes(LARGE_BYTES if rng.random() < LARGE_SHARE else rng.randint(0, 300))


class Unexpected(Exception):
    """The server answered, and not as it must."""


class Stream:
    """What one sender sent and was told. Its events are numbered 1, 2, ...; `deliveries` are the first number and the count of
    each delivery. `partition` is nothing when the server chose one by key (`has_key`) or each in turn."""

    def __init__(self, name, partition=None, has_key=False):
        self.name, self.partition, self.has_key = name, partition, has_key
        self.deliveries, self.accepted, self.refused = [], set(), set()  # the sets hold first numbers
        self.repeated = 0  # deliveries that were sent again

    def next_number(self):
        return sum(self.deliveries[-1]) if self.deliveries else 1

    def add(self, count):
        self.deliveries.append((self.next_number(), count))
        return self.deliveries[-1]


class Sender:
    """One connection's worth of single events or batches, each new."""

    def __init__(self, name, rng):
        self._rng = rng
        where = rng.choice(["partition", "key", "hub"])
        self.stream = Stream(name, rng.randrange(PARTITIONS) if where == "partition" else None, where == "key")
        self._batched = rng.random() < 0.5
        self._annotations = {"x-opt-partition-key": name} if where == "key" else None

    def run(self, world):
        rng, stream = self._rng, self.stream
        connection, sent = connect(world, rng), {}
        address = HUB if stream.partition is None else f"{HUB}/Partitions/{stream.partition}"
        window, vanishes = rng.randint(1, WINDOW_MAX), rng.random() < VANISHING_SHARE
        try:
            link = connection.attach(stream.name, address, True)
            if link.detached:
                raise Unexpected(f"{stream.name}: {amqp.condition_of(link.detached, 2)}")
            for _ in range(rng.randint(1, DELIVERIES_MAX)):
                self._deliver(connection, link, sent)
                if not vanishes:
                    connection.wait(lambda: len(sent) - len(connection.outcomes) < window)
            if vanishes:
                return connection.vanish()
            connection.wait(lambda: len(connection.outcomes) == len(sent))
            return connection.close()
        except CUT:
            connection.drain()
            raise
        finally:
            for delivery, why in connection.outcomes.items():
                (stream.refused if why else stream.accepted).add(sent[delivery])
                if why not in (None, BUSY):
                    raise Unexpected(f"{stream.name}: {why}")

    def _deliver(self, connection, link, sent):
        first, count = self.stream.add(self._rng.randint(1, BATCH_MAX) if self._batched else 1)
        events = [amqp.event(_body(self._rng), event_id(self.stream.name, first + i), self._annotations) for i in range(count)]
        if self._batched:
            delivery = connection.deliver(link, amqp.batch(events, self._annotations), amqp.BATCH)
        else:
            delivery = connection.deliver(link, events[0])
        sent[delivery] = first


class Producer:
    """An idempotent producer. It lives through connections and kills, and repeats each delivery whose answer it did not get:
    the number of an event is its sequence number, so none may be there twice and none may be missing."""

    def __init__(self, name, partition):
        self.stream = Stream(name, partition)
        self.id = self.epoch = None
        self._pending = []    # deliveries without an answer, oldest first
        self._acknowledged = 0  # the last number that was accepted

    def run(self, world, rng):
        connection, sent = connect(world, rng), {}
        try:
            link = self._attach(connection, rng)
            repeats = list(self._pending)
            if self.stream.accepted and rng.random() < REPEATED_SHARE:  # an answer that a client took for lost
                known = [one for one in self.stream.deliveries if one[0] in self.stream.accepted]
                repeats.insert(0, known[-1])
            for one in repeats:
                self.stream.repeated += 1
                sent[self._deliver(connection, link, rng, *one)] = one
            for _ in range(rng.randint(0, DELIVERIES_MAX)):
                one = self.stream.add(rng.choice([1, rng.randint(1, BATCH_MAX)]))
                self._pending.append(one)
                sent[self._deliver(connection, link, rng, *one)] = one
                connection.wait(lambda: len(sent) - len(connection.outcomes) < WINDOW_MAX)
            if rng.random() < VANISHING_SHARE * 2:
                return connection.vanish()
            connection.wait(lambda: len(connection.outcomes) == len(sent))
            return connection.close()
        except CUT:
            connection.drain()
            raise
        finally:
            self._take(connection.outcomes, sent)

    def _attach(self, connection, rng):
        if self.epoch is not None and rng.random() < NEW_EPOCH_SHARE:
            self.epoch += 1
            last = None  # a new epoch that names a sequence number begins there, so it asks
        else:
            last = self._acknowledged if self.id is not None and rng.random() < HEEDLESS_SHARE else None
        wish = {"id": None if self.id is None else amqp.long(self.id),
                "epoch": None if self.epoch is None else amqp.short(self.epoch),
                "sequence-number": None if last is None else amqp.int32(last)}
        link = connection.attach(self.stream.name, f"{HUB}/Partitions/{self.stream.partition}", True,
                                 properties={PRODUCER + key: value for key, value in wish.items()},
                                 capabilities=amqp.Symbol("com.microsoft:idempotent-producer"))
        if link.detached:
            raise Unexpected(f"{self.stream.name}: {amqp.condition_of(link.detached, 2)}")
        told = link.attach[13]
        if self.id not in (None, told[PRODUCER + "id"]):
            raise Unexpected(f"{self.stream.name}: its id {self.id} became {told}")
        self.id, self.epoch = told[PRODUCER + "id"], told[PRODUCER + "epoch"]
        if not self._acknowledged <= told[PRODUCER + "sequence-number"] < self.stream.next_number():
            raise Unexpected(f"{self.stream.name}: {self._acknowledged} was accepted, and it is told {told}")
        # Node's client numbers its repetitions by what it is told.
        if last not in (None, told[PRODUCER + "sequence-number"]):
            raise Unexpected(f"{self.stream.name}: it comes back with {last}, and is told {told}")
        return link

    def _deliver(self, connection, link, rng, first, count):
        events = [amqp.event(_body(rng), event_id(self.stream.name, first + i), {
            PRODUCER + "id": amqp.long(self.id), PRODUCER + "epoch": amqp.short(self.epoch),
            PRODUCER + "sequence-number": amqp.int32(first + i)}) for i in range(count)]
        if count == 1:
            return connection.deliver(link, events[0])
        return connection.deliver(link, amqp.batch(events), amqp.BATCH)

    def _take(self, outcomes, sent):
        for delivery, why in sorted(outcomes.items()):
            if why:
                raise Unexpected(f"{self.stream.name}: {sent[delivery]} was refused: {why}; pending {self._pending}")
            first, count = sent[delivery]
            self.stream.accepted.add(first)
            self._acknowledged = max(self._acknowledged, first + count - 1)
        self._pending = [one for one in self._pending if one[0] not in self.stream.accepted]


class Consumer:
    """Reads all partitions, over connections and kills, each time from where it left."""

    def __init__(self):
        self.seen = [[] for _ in range(PARTITIONS)]  # event IDs; the index is the sequence number
        self.resumed = 0

    def attach(self, connection, partition):
        last = len(self.seen[partition]) - 1
        link = connection.attach(f"consumer-{self.resumed}-{partition}", f"{HUB}/ConsumerGroups/$Default/Partitions/{partition}", False,
                                 filter=f"amqp.annotation.x-opt-sequence-number > '{last}'")
        if link.detached:
            raise Unexpected(f"the consumer cannot go on after {last} of partition {partition}: {amqp.condition_of(link.detached, 2)}")
        connection.grant(link, CREDIT)
        return link

    def take(self, connection, link, partition):
        """What has arrived, and credit for as much."""
        taken, link.messages = link.messages, []
        for message in taken:
            sequence, name = read(message)
            if sequence != len(self.seen[partition]):
                raise Unexpected(f"the consumer got {sequence} of partition {partition} after {len(self.seen[partition]) - 1}")
            self.seen[partition].append(name)
        if taken:
            connection.grant(link, CREDIT)

    def run(self, world, rng, is_over):
        """Until it leaves by itself or is cut."""
        connection = connect(world, rng)
        self.resumed += 1
        try:
            links = [self.attach(connection, partition) for partition in range(PARTITIONS)]
            while not is_over() and rng.random() > REATTACH_SHARE:
                self._step(connection, links)
            connection.vanish()
        except CUT:
            connection.socket.close()
            raise

    def catch_up(self, world, heads):
        """Until the last event of each partition."""
        connection = connect(world, random.Random(self.resumed))
        self.resumed += 1
        links = [self.attach(connection, partition) for partition in range(PARTITIONS)]
        while any(len(self.seen[partition]) <= head for partition, head in enumerate(heads)):
            self._step(connection, links)
        connection.close()

    def _step(self, connection, links):
        """Takes what there is, which may have come while the links were attached; waits only when there was nothing."""
        if not any(link.messages for link in links):
            connection.step()
        for partition, link in enumerate(links):
            self.take(connection, link, partition)


def read(message):
    """Sequence number and ID of an event."""
    parts = amqp.sections(message)
    return parts[amqp.ANNOTATIONS]["x-opt-sequence-number"], parts[amqp.PROPERTIES][0]


class EventHub:
    """The ledger of a data directory's event hub, over several kills."""

    def __init__(self):
        self.streams = []
        self.producers = [Producer(f"producer-{i}", i % PARTITIONS) for i in range(PRODUCERS)]
        self.consumer = Consumer()

    def all_streams(self):
        return self.streams + [producer.stream for producer in self.producers]


class Load:
    """Runs until the server dies. What fails before `killing` is set is a failure of the test."""

    def __init__(self, world, hub, seed, name):
        self.killing = threading.Event()
        self.failures = []
        self._world, self._hub = world, hub
        work = [(f"{name}-s{i}", self._send) for i in range(SENDERS)]
        work += [(f"{name}-{producer.stream.name}", lambda rng, _, one=producer: one.run(world, rng)) for producer in hub.producers]
        work += [(f"{name}-consumer", lambda rng, _: hub.consumer.run(world, rng, self.killing.is_set))]
        self._threads = [threading.Thread(target=self._loop, args=(random.Random(f"{seed}/{who}"), who, what), daemon=True)
                         for who, what in work]

    def start(self):
        for thread in self._threads:
            thread.start()

    def join(self):
        for thread in self._threads:
            thread.join(amqp.TIMEOUT_S * 2)
            if thread.is_alive():
                self.failures.append(f"{thread.name} hangs")

    def _send(self, rng, name):
        sender = Sender(name, rng)
        self._hub.streams.append(sender.stream)
        sender.run(self._world)

    def _loop(self, rng, name, what):
        number = 0
        try:
            while not self.killing.is_set():
                number += 1
                what(rng, f"{name}-{number}")
        except CUT as error:
            if not self.killing.is_set():
                self.failures.append(f"{name} before the kill: {error!r} {traceback.format_exc(limit=-3)}")
        except Exception as error:  # a worker that dies silently would hide what it found
            self.failures.append(f"{name}: {error!r} {traceback.format_exc(limit=-3)}")
