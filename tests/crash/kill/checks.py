"""What must hold after a crash. Each function returns what is broken, as sentences."""

import copy
import json
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from . import azure, mqtt

SETTLED_WITHIN_S = 60  # built-in functions have caught up with the log; normally milliseconds
LOOK_EVERY_S = 0.1
CHECKERS = 3


def _eventually(look):
    """The broken promise that stays, or nothing: `look` returns what is broken now."""
    end = time.monotonic() + SETTLED_WITHIN_S
    while True:
        broken = look()
        if not broken or time.monotonic() > end:
            return broken
        time.sleep(LOOK_EVERY_S)


def _twin_is_gone(rest, name):
    status = rest.twins("GET", f"/digitaltwins/{name}")[0]
    return None if status == azure.GONE else f"{name}: the digital twin of a deleted device is there: {status}"


def _twin_is_right(rest, device):
    status, twin = rest.twins("GET", f"/digitaltwins/{device.name}")
    if status != 200:
        return f"{device.name}: is there but its digital twin answers {status}"
    if twin["$dtId"] != device.name or twin["$metadata"]["$model"] != azure.MODEL:
        return f"{device.name}: its digital twin is {twin['$dtId']} of {twin['$metadata']['$model']}"
    if device.acknowledged_now and twin.get("Temperature", 0) < device.acknowledged_now:
        return (f"{device.name}: message {device.acknowledged_now} was acknowledged and the digital twin has "
                f"Temperature {twin.get('Temperature')}")
    return None


def device(rest, device):
    """Identity, registration record, device twin and digital twin of one device; settles what was unknown."""
    status, identity = rest.hub("GET", f"/devices/{device.name}")
    if status not in (200, azure.GONE):
        return [f"{device.name}: GET of the identity answers {status}"]
    is_there = status == 200
    if device.there is not None and device.there != is_there:
        return [f"{device.name}: " + ("was assigned and has no identity" if device.there else
                                      "its delete was acknowledged and the identity is there")]
    was_unknown, device.there = device.there is None, is_there
    if not is_there:
        broken = _eventually(lambda: _twin_is_gone(rest, device.name))
        return [broken] if broken else []
    if was_unknown and device.registered == device.deleted:
        device.acknowledged_now = 0  # the registration that was cut off succeeded: a new life
    broken = []
    status, record = rest.dps("GET", f"/registrations/{device.name}")
    if status != 200 or (record["status"], record["deviceId"]) != ("assigned", device.name):
        broken.append(f"{device.name}: its registration record: {status} {record}")
    if identity["deviceId"] != device.name:
        broken.append(f"{device.name}: the identity is called {identity['deviceId']}")
    status, twin = rest.hub("GET", f"/twins/{device.name}")
    if status != 200 or twin["tags"] != {"dtmi": azure.MODEL, "dtId": device.name}:
        broken.append(f"{device.name}: device twin {status} {twin.get('tags')}")
    digital = _eventually(lambda: _twin_is_right(rest, device))
    return broken + ([digital] if digital else [])


def all_devices(world, devices):
    rests = [azure.Rest(world) for _ in range(CHECKERS)]

    def share(i):
        return [line for one in devices[i::CHECKERS] for line in device(rests[i], one)]

    with ThreadPoolExecutor(CHECKERS) as pool:
        return [line for lines in pool.map(share, range(CHECKERS)) for line in lines]


def registry(world, devices):
    """The registry lists each device that is there once, and nothing else. (The twin graph: see directory().)"""
    rest = azure.Rest(world)
    names, headers = [], {"x-ms-max-item-count": "1000"}
    while True:
        page, token = rest.hub_page("POST", "/devices/query", {"query": "SELECT * FROM devices"}, **headers)
        names += [item["deviceId"] for item in page]
        if not token:
            break
        headers["x-ms-continuation"] = token
    return _same("the registry", names, devices)


def _same(what, names, devices):
    have, want = Counter(names), Counter(one.name for one in devices if one.there)
    if have == want:
        return []
    return [f"{what} has {len(names)} entries; too many {list((have - want).elements())[:5]}, "
            f"missing {list((want - have).elements())[:5]}"]


def registers_again(world, device):
    """Registering after the crash ends as if there had been none."""
    try:
        device.register(world)
    except mqtt.Refused as error:
        return [str(error)]
    return []


def directory(reader, data_dir, devices):
    """The hub's log and the twin graph, read from the data directory of a server that does not run any more. Returns what is
    broken and how many events there are."""
    done = subprocess.run([reader, data_dir, "hub1"], capture_output=True, text=True, timeout=300)
    if done.returncode:
        return [f"the log cannot be read: {done.stderr}"], 0
    events, expected, broken, count, twins = {}, {}, [], 0, []
    for line in map(json.loads, done.stdout.splitlines()):
        if "twin" in line:
            twins.append(line["twin"])
            continue
        partition = line["partition"]
        if "next" in line:
            expected[partition] = [line["first"], line["next"]]
            if line["first"] != 0:
                broken.append(f"partition {partition} begins with {line['first']}")
            continue
        count += 1
        if line["sequence"] != expected[partition][0]:
            broken.append(f"partition {partition}: {line['sequence']} follows {expected[partition][0] - 1}")
        expected[partition][0] = line["sequence"] + 1
        events.setdefault(line["device"], []).append(line)
    broken += [f"partition {p}: ends at {at}, its head says {end}" for p, (at, end) in expected.items() if at != end]
    broken += _same("the twin graph", twins, devices)
    for one in devices:
        broken += _history(one, events.pop(one.name, []))
    if events:
        broken.append(f"events of devices that nobody registered: {list(events)[:5]}")
    return broken, count


def unnoticed_lies(reader, data_dir, devices):
    """Tells the checks of a directory what never happened; what they believe of it is returned. Checks that cannot fail would
    prove nothing."""
    lies = []

    def lie(what, **changes):
        one = next(device for device in devices if device.there)
        forged = copy.copy(one)
        forged.__dict__.update({name: change(one) for name, change in changes.items()})
        ledger = [forged if device is one else device for device in devices]
        if not any(forged.name in line for line in directory(reader, data_dir, ledger)[0]):
            lies.append(f"nobody noticed {what}")

    lie("a message that was never acknowledged", acknowledged=lambda one: one.acknowledged | {one.sent + 1})
    lie("a delete that never happened", there=lambda one: False, deleted=lambda one: one.deleted + 1)
    lie("a device that was never registered", name=lambda one: one.name + "-forged")
    return lies


def _in_order(device, numbers):
    """Each once; in order within a connection; and nothing of a later connection before what an earlier one was acknowledged.

    What a device sent without waiting on a connection that it then left may still be read when its next one is there.
    """
    place = {number: i for i, number in enumerate(numbers)}
    if len(place) != len(numbers):
        return False
    acknowledged = -1
    for first, end in zip(device.begins, device.begins[1:] + [float("inf")]):
        own = [number for number in numbers if first <= number < end]
        if own != sorted(own) or (own and place[own[0]] < acknowledged):
            return False
        acknowledged = max([acknowledged] + [place[number] for number in own if number in device.acknowledged])
    return True


def _history(device, events):
    """The log's story of one device against what its worker was told."""
    broken = []
    if len({event["partition"] for event in events}) > 1:
        broken.append(f"{device.name}: events in several partitions")
    numbers = [int(e["messageId"].rpartition("-")[2]) for e in events if e["source"] == "Telemetry"]
    if not _in_order(device, numbers):
        broken.append(f"{device.name}: telemetry twice or out of order: {numbers}, connections begin at {device.begins}")
    missing = device.acknowledged - set(numbers)
    if missing:
        broken.append(f"{device.name}: acknowledged and not in the log: {sorted(missing)}")
    if numbers and numbers[-1] > device.sent:
        broken.append(f"{device.name}: telemetry that was never sent")
    lives = [event["opType"] for event in events if event["source"] == "deviceLifecycleEvents"]
    if lives != ["createDeviceIdentity", "deleteDeviceIdentity"] * (len(lives) // 2) + ["createDeviceIdentity"] * (len(lives) % 2):
        broken.append(f"{device.name}: lifecycle {lives}")
    if bool(len(lives) % 2) != device.there:
        broken.append(f"{device.name}: {'there' if device.there else 'gone'}, but the log says {lives}")
    if lives.count("createDeviceIdentity") < device.registered or lives.count("deleteDeviceIdentity") < device.deleted:
        broken.append(f"{device.name}: {device.registered} registrations and {device.deleted} deletes acknowledged, in the log {lives}")
    return broken
