#!/usr/bin/env python3
"""remote_hub.py --doppel PATH

Two servers: one provisions, the other is its linked hub elsewhere. Devices are assigned over there, move from one to the
other and back; either server is SIGKILLed in the middle of a registration, and the hub stops answering. Whatever happens:
a device that was told "assigned" can connect, and no identity is left that nobody was told of. Ends with `N passed, N
failed`."""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from slow_proxy import SlowProxy  # noqa: E402

FAR = "far.localhost"
START_S = 60     # a loaded CI machine included
SETTLE_S = 60    # for what happens in the background
GROUP_KEY = base64.b64encode(b"a group key of at least sixteen bytes").decode()


def sas(resource, key, name=None):
    expires = str(int(time.time()) + 3600)
    encoded = urllib.parse.quote(resource, safe="")
    signature = hmac.new(base64.b64decode(key), f"{encoded}\n{expires}".encode(), hashlib.sha256).digest()
    token = f"SharedAccessSignature sr={encoded}&sig={urllib.parse.quote(base64.b64encode(signature), safe='')}&se={expires}"
    return token + (f"&skn={name}" if name else "")


class Server:
    def __init__(self, doppel, directory, *options):
        self.doppel, self.data, self.options, self.process, self.port = doppel, directory, options, None, 0

    def start(self):
        log = Path(self.data + ".log")
        offset = log.stat().st_size if log.exists() else 0
        self.process = subprocess.Popen(
            [self.doppel, "serve", "--data-dir", self.data, "--https-port", str(self.port), "--mqtt-port", "0",
             "--amqp-port", "0", *self.options], stdout=open(log, "ab"), stderr=subprocess.STDOUT)
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            if "Doppel is ready" in log.read_text()[offset:]:
                profile = json.loads(Path(self.data, "cli-profile.json").read_text())
                self.port, self.ca = profile["httpsPort"], profile["caFile"]
                return
            time.sleep(0.02)
        raise RuntimeError("the server did not start:\n" + log.read_text())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            return self.process.wait(60)
        return None

    def cli(self, *words):
        done = subprocess.run([self.doppel, *words, "--data-dir", self.data], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"doppel {' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def variables(self):
        lines = subprocess.run([self.doppel, "env", "--data-dir", self.data], check=True, capture_output=True, text=True,
                               timeout=60).stdout
        import shlex
        return dict(shlex.split(line)[1].split("=", 1) for line in lines.splitlines())

    def call(self, method, path, token, body=None, host="localhost", version="2021-04-12"):
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=60, context=context)
        headers = {"Authorization": token, "Content-Type": "application/json", "Host": host}
        connection.request(method, f"{path}?api-version={version}", json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text.strip() else None


def parts_of(connection_string):
    return dict(part.split("=", 1) for part in connection_string.split(";"))


class World:
    def __init__(self, doppel, work):
        self.hub = Server(doppel, work + "/hub", "--hostname", FAR)
        self.hub.start()
        certificates = Path(self.hub.data, "certificates")
        self.proxy = SlowProxy(certificates / "server-ec.pem", certificates / "server-ec.key.pem", self.hub.ca, FAR, self.hub.port)
        self.dps = Server(doppel, work + "/dps", "--trusted-ca", self.hub.ca)
        self.dps.start()
        there = self.hub.variables()
        self.hub_policy = parts_of(there["HUB_CONNECTION_STRING"])
        here = self.dps.variables()
        self.scope, self.service = here["DPS_ID_SCOPE"], parts_of(here["DPS_CONNECTION_STRING"])
        self.dps.cli("iot", "dps", "linked-hub", "create", "--connection-string",
                     f"HostName={FAR}:{self.proxy.port};SharedAccessKeyName=iothubowner;"
                     f"SharedAccessKey={self.hub_policy['SharedAccessKey']}")
        self.point_group_at(FAR)

    def point_group_at(self, hub):
        body = {"enrollmentGroupId": "fleet", "allocationPolicy": "static", "iotHubs": [hub],
                "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": GROUP_KEY}},
                "initialTwin": {"tags": {"room": "hall"}, "properties": {"desired": {"rate": 5}}}}
        token = sas("localhost", self.service["SharedAccessKey"], "provisioningserviceowner")
        status, answer = self.dps.call("PUT", "/enrollmentGroups/fleet", token, body, version="2021-10-01")
        expect(status == 200, f"the group is written: {status} {answer}")

    @staticmethod
    def device_key(device):
        return base64.b64encode(hmac.new(base64.b64decode(GROUP_KEY), device.encode(), hashlib.sha256).digest()).decode()

    def ask(self, device, method, path):
        token = sas(f"{self.scope}/registrations/{device}", self.device_key(device))
        body = {"registrationId": device} if method == "PUT" else None
        return self.dps.call(method, f"/{self.scope}/registrations/{device}{path}", token, body, version="2019-03-31")

    def register(self, device, within=120):
        """As a device does it: registers, polls, and begins again when it is told to. Returns the final state."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            try:
                status, answer = self.ask(device, "PUT", "/register")
                while status == 202 and time.monotonic() < end:
                    time.sleep(0.2)
                    status, answer = self.ask(device, "GET", f"/operations/{answer['operationId']}")
            except OSError:
                time.sleep(0.2)
                continue
            if status == 200:
                return answer["registrationState"]
            expect(status >= 429, f"a device is told to come again, not {status} {answer}")
            time.sleep(0.2)
        raise RuntimeError(f"{device} was not answered for good within {within} s")

    def identity(self, device):
        """Over there, past the proxy."""
        token = sas(FAR, self.hub_policy["SharedAccessKey"], "iothubowner")
        status, answer = self.hub.call("GET", f"/devices/{device}", token, host=FAR)
        return answer if status == 200 else None

    def twin(self, device):
        token = sas(FAR, self.hub_policy["SharedAccessKey"], "iothubowner")
        return self.hub.call("GET", f"/twins/{device}", token, host=FAR)[1]

    def can_connect(self, device):
        token = sas(f"{FAR}/devices/{device}", self.device_key(device))
        status, _ = self.hub.call("POST", f"/devices/{device}/messages/events", token, {"temperature": 21}, host=FAR)
        return status == 204


def expect(is_so, what):
    if not is_so:
        raise AssertionError(what)


def eventually(holds, what):
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(f"within {SETTLE_S} s: {what}")


def assigned(world, device, hub=FAR):
    state = world.register(device)
    expect(state["status"] == "assigned" and state["assignedHub"] == hub, f"assigned to {hub}: {state}")
    return state


# ---- What is tried ----

def a_device_lives_over_there(world):
    assigned(world, "plain")
    expect(world.can_connect("plain"), "the device connects with the key it provisioned with")
    twin = world.twin("plain")
    expect(twin["tags"] == {"room": "hall"} and twin["properties"]["desired"]["rate"] == 5, f"its twin: {twin}")
    before = world.identity("plain")["etag"]
    assigned(world, "plain")
    expect(world.identity("plain")["etag"] == before, "registering again changes nothing")


def a_device_deleted_over_there_is_made_again(world):
    assigned(world, "gone")
    token = sas(FAR, world.hub_policy["SharedAccessKey"], "iothubowner")
    status, _ = world.hub.call("DELETE", "/devices/gone", token, host=FAR)
    expect(status == 204, f"deleted: {status}")
    assigned(world, "gone")
    expect(world.can_connect("gone"), "it is there again")


def a_device_moves_there_and_back(world):
    world.point_group_at("localhost")
    assigned(world, "mover", "localhost")
    world.point_group_at(FAR)
    expect(assigned(world, "mover")["substatus"] == "deviceDataMigrated", "with its data")
    expect(world.can_connect("mover"), "it lives over there")
    world.point_group_at("localhost")
    assigned(world, "mover", "localhost")
    eventually(lambda: world.identity("mover") is None, "nothing stays over there")
    world.point_group_at(FAR)


def the_provisioning_server_is_killed_after_the_hub_acted(world):
    world.proxy.set_rule(lambda method, path: "hold" if method == "PUT" and path.startswith("/devices/") else "pass")
    status, answer = world.ask("cut-after", "PUT", "/register")
    expect(status == 202, f"the device waits: {status} {answer}")
    expect(world.proxy.seen.wait(SETTLE_S), "the hub was asked to make it")
    eventually(lambda: world.identity("cut-after") is not None, "the hub has made it")
    world.dps.kill()
    world.proxy.release()
    world.dps.start()
    eventually(lambda: world.identity("cut-after") is None, "what nobody was told of is removed at the start")
    assigned(world, "cut-after")
    expect(world.can_connect("cut-after"), "the device is as new")


def the_provisioning_server_is_killed_and_the_device_is_back_first(world):
    world.proxy.set_rule(lambda method, path: "hold" if path.startswith("/twins/") else "pass")
    world.ask("cut-twin", "PUT", "/register")
    expect(world.proxy.seen.wait(SETTLE_S), "the twin is being written")
    world.dps.kill()
    world.proxy.release()
    world.dps.start()
    assigned(world, "cut-twin")
    # Whichever came first, the recovery or the device: what was said holds.
    expect(world.can_connect("cut-twin"), "a device that was told so can connect")
    expect(world.twin("cut-twin")["tags"] == {"room": "hall"}, "with its twin")


def the_hub_is_killed_in_the_middle(world):
    for name, rule in (("hub-before", "swallow"), ("hub-after", "hold")):
        world.proxy.set_rule(lambda method, path: rule if method == "PUT" and path.startswith("/devices/") else "pass")
        status, answer = world.ask(name, "PUT", "/register")
        expect(status == 202, f"the device waits: {status} {answer}")
        expect(world.proxy.seen.wait(SETTLE_S), "the hub was asked")
        world.hub.kill()
        world.proxy.release()
        world.hub.start()
        assigned(world, name)
        expect(world.can_connect(name), "the device can connect")


def the_hub_does_not_answer(world):
    world.proxy.set_rule(lambda method, path: "swallow")
    began = time.monotonic()
    status, answer = world.ask("patient", "PUT", "/register")
    expect(status == 202, f"the device waits: {status} {answer}")
    # Others that have nothing to do with the hub go on.
    world.point_group_at("localhost")
    assigned(world, "elsewhere", "localhost")
    world.point_group_at(FAR)
    world.proxy.release()
    assigned(world, "patient")
    expect(time.monotonic() - began < 60, "within the time of .NET's client")
    expect(world.can_connect("patient"), "the device can connect")


SCENARIOS = (a_device_lives_over_there, a_device_deleted_over_there_is_made_again, a_device_moves_there_and_back,
             the_provisioning_server_is_killed_after_the_hub_acted,
             the_provisioning_server_is_killed_and_the_device_is_back_first, the_hub_is_killed_in_the_middle,
             the_hub_does_not_answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--doppel", required=True)
    parser.add_argument("--only", help="part of the name of the scenarios to run")
    arguments = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="doppel-remote-") as work:
        world = None
        try:
            world = World(arguments.doppel, work)
            for scenario in SCENARIOS:
                title = scenario.__name__.replace("_", " ")
                if arguments.only and arguments.only not in scenario.__name__:
                    continue
                try:
                    scenario(world)
                    passed += 1
                    print(f"  ok - {title}", flush=True)
                except Exception:  # whatever it was, the others are tried all the same
                    failed += 1
                    print(f"  not ok - {title}\n{traceback.format_exc()}", flush=True)
                world.proxy.release()
            for server in (world.dps, world.hub):
                expect(server.stop() == 0, "the servers end well")
        except Exception:
            failed += 1
            print(traceback.format_exc())
        finally:
            if world:
                for server in (world.dps, world.hub):
                    if server.process and server.process.poll() is None:
                        server.kill()
            if failed:
                for log in Path(work).glob("*.log"):
                    print(f"---- {log.name}\n" + log.read_text()[-4000:])
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
