"""The load: workers that provision devices, send telemetry, retire devices and bring some back, each writing down what it
was told. The ledger of a device belongs to one worker, so what was said about a device has one order."""

import http.client
import random
import ssl
import threading
import traceback

from . import azure, mqtt

WINDOW_MAX = 16
MESSAGES_MAX = 40  # per connection
RETIRED_SHARE, REVIVED_SHARE, REPEATED_SHARE, VANISHING_SHARE = 0.5, 0.3, 0.2, 0.2
CUT = (OSError, EOFError, ssl.SSLError, http.client.HTTPException)


class Device:
    """What is known of one device. `there`: True or False when it was acknowledged or seen, None when a request about it
    is under way and its outcome unknown."""

    def __init__(self, name):
        self.name = name
        self.there = False
        self.sent = 0                   # messages are numbered 1, 2, ...; the temperature is the number
        self.begins = []                # number of the first message of each connection
        self.acknowledged = set()       # numbers
        self.acknowledged_now = 0       # the greatest of this life of the device
        self.registered = self.deleted = 0  # acknowledged lives and ends

    def message_id(self, number):
        return f"{self.name}-{number}"

    def register(self, world):
        was = self.there
        if not was:
            self.there = None
        device = azure.register(world, self.name)
        if device != self.name:
            raise mqtt.Refused(f"{self.name} was assigned {device}")
        if was is False:
            self.registered += 1
            self.acknowledged_now = 0
        self.there = True

    def vanish(self, world):
        """Leaves in the middle of its telemetry."""
        client = azure.connect(world, self.name)
        self.begins.append(self.sent + 1)
        for _ in range(WINDOW_MAX):
            self.sent += 1
            client.publish(azure.telemetry_topic(self.name, self.message_id(self.sent)), b'{"Temperature":%d}' % self.sent)
        client.vanish()

    def send(self, world, rng):
        """Some messages with a random window; leaves with some unacknowledged at times."""
        client = azure.connect(world, self.name)
        self.begins.append(self.sent + 1)
        packets, window = {}, rng.randint(1, WINDOW_MAX)
        count, waits = rng.randint(1, MESSAGES_MAX), rng.random() < 0.7
        try:
            for i in range(count):
                self.sent += 1
                number = self.sent
                packets[client.publish(azure.telemetry_topic(self.name, self.message_id(number)),
                                       b'{"Temperature":%d}' % number)] = number
                client.wait_for_acknowledgements(i + 1 - window)
            if waits:
                client.wait_for_acknowledgements(count)
        except CUT:
            client.drain()
            raise
        finally:
            for packet in client.acknowledged:
                self.acknowledged.add(packets[packet])
                self.acknowledged_now = max(self.acknowledged_now, packets[packet])
        return client

    def retire(self, rest):
        self.there = None
        status = rest.delete_device(self.name)
        if status != 204:
            raise mqtt.Refused(f"deleting {self.name}: {status}")
        self.there = False
        self.deleted += 1


class Load:
    """Runs until the server dies. What fails before `killing` is set is a failure of the test."""

    def __init__(self, world, seed, name, workers):
        self.killing = threading.Event()
        self.devices, self.failures = [], []
        self._world = world
        self._threads = [threading.Thread(target=self._work, args=(random.Random(f"{seed}/{name}/{i}"), f"{name}-{i}"),
                                          daemon=True) for i in range(workers)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def join(self):
        for thread in self._threads:
            thread.join(mqtt.TIMEOUT_S * 2)
            if thread.is_alive():
                self.failures.append(f"{thread.name} hangs")

    def _work(self, rng, name):
        number = 0
        try:
            rest = azure.Rest(self._world)
            while not self.killing.is_set():
                number += 1
                device = Device(f"{name}-{number}")
                self.devices.append(device)
                self._live(device, rest, rng)
        except CUT as error:
            if not self.killing.is_set():
                self.failures.append(f"{name} before the kill: {error!r} {traceback.format_exc(limit=-3)}")
        except Exception as error:  # a worker that dies silently would hide what it found
            self.failures.append(f"{name}: {error!r} {traceback.format_exc(limit=-3)}")

    def _live(self, device, rest, rng):
        device.register(self._world)
        if rng.random() < REPEATED_SHARE:
            device.register(self._world)
        if rng.random() < VANISHING_SHARE:
            device.vanish(self._world)
        client = device.send(self._world, rng)
        if rng.random() < RETIRED_SHARE:
            device.retire(rest)
            if rng.random() < REVIVED_SHARE:
                device.register(self._world)
                client.close()
                client = device.send(self._world, rng)
        client.close()
