"""What the load and the checks say to the server, over its public protocols only: DPS and the hub over MQTT, the hub's
REST and the digital twins' REST over HTTPS."""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
import urllib.parse

from . import mqtt

MODEL = "dtmi:contosocom:DigitalTwins:Thermostat;2"
POLLS_MAX = 60
GONE = 404


def _hmac(key, text):
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def sas(resource, key, policy=None):
    quoted, expiry = urllib.parse.quote(resource, safe=""), int(time.time()) + 3600
    signature = urllib.parse.quote(_hmac(key, f"{quoted}\n{expiry}"), safe="")
    return f"SharedAccessSignature sr={quoted}&sig={signature}&se={expiry}" + (f"&skn={policy}" if policy else "")


def _policy_and_key(connection_string):
    parts = dict(part.split("=", 1) for part in connection_string.split(";"))
    return parts["SharedAccessKeyName"], parts["SharedAccessKey"]


class World:
    """Addresses and secrets of one server. Ports change with every start."""

    def __init__(self, variables, profile):
        self.host = "localhost"
        self.https_port, self.mqtt_port = profile["httpsPort"], profile["mqttPort"]
        self.amqp_port, self.amqp_plain_port = profile["amqpPort"], profile["emulatorPort"]
        self.ca_file = variables["CA_FILE"]
        self.scope, self.group_key = variables["DPS_ID_SCOPE"], variables["GROUP_KEY"]
        self.hub_key = _policy_and_key(variables["HUB_CONNECTION_STRING"])
        self.dps_key = _policy_and_key(variables["DPS_CONNECTION_STRING"])
        self.events_key = _policy_and_key(variables["DOPPEL_EH_CONNECTION"])
        self.tenant, self.client_id = variables["DOPPEL_TENANT"], variables["DOPPEL_CLIENT_ID"]
        self.client_secret = variables["DOPPEL_CLIENT_SECRET"]

    def device_key(self, device):
        return _hmac(self.group_key, device)


def register(world, device, around_answer=None):
    """Registers `device` with DPS. Returns the device ID it was assigned; anything else is mqtt.Refused.
    `around_answer(client, time sent)` is called when the answer has come and was not acknowledged yet."""
    resource = f"{world.scope}/registrations/{device}"
    client = mqtt.Client(world.host, world.mqtt_port, world.ca_file, device, f"{resource}/api-version=2019-03-31",
                         sas(resource, world.device_key(device), "registration"))
    client.subscribe("$dps/registrations/res/#")
    topic = "$dps/registrations/PUT/iotdps-register/?$rid=0"
    body = json.dumps({"registrationId": device, "payload": {"modelId": MODEL}}).encode()
    for poll in range(1, POLLS_MAX):
        sent = time.time()
        if around_answer:
            client.on_message = lambda sent=sent: around_answer(client, sent)
        client.publish(topic, body)
        where, payload = client.read_message()
        answer = json.loads(payload)
        if where.startswith("$dps/registrations/res/202/"):
            time.sleep(0.2)
            topic = f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid={poll}&operationId={answer['operationId']}"
            body = b""
            continue
        client.close()
        if answer.get("status") != "assigned":
            raise mqtt.Refused(f"registering {device}: {where} {payload.decode()}")
        return answer["registrationState"]["deviceId"]
    raise mqtt.Refused(f"registering {device}: no end after {POLLS_MAX} polls")


def connect(world, device):
    return mqtt.Client(world.host, world.mqtt_port, world.ca_file, device,
                       f"{world.host}/{device}/?api-version=2021-04-12",
                       sas(f"{world.host}/devices/{device}", world.device_key(device)))


def telemetry_topic(device, message_id):
    return f"devices/{device}/messages/events/$.mid={message_id}&$.ct=application%2Fjson&$.ce=utf-8"


class Rest:
    """One HTTPS connection to the services. Not for several threads."""

    def __init__(self, world):
        self._world = world
        self._token = None
        self._connection = http.client.HTTPSConnection(world.host, world.https_port, timeout=mqtt.TIMEOUT_S,
                                                       context=ssl.create_default_context(cafile=world.ca_file))

    @property
    def local_port(self):
        return self._connection.sock.getsockname()[1]

    def ask(self, method, path, body=None, **headers):
        """Status and parsed body."""
        data = body if isinstance(body, (str, type(None))) else json.dumps(body)
        self._connection.request(method, path, data, {"Content-Type": "application/json", **headers})
        answer = self._connection.getresponse()
        text, self.headers = answer.read(), answer.headers
        return answer.status, json.loads(text) if text else None

    def hub(self, method, path, body=None, **headers):
        policy, key = self._world.hub_key
        token = sas(self._world.host, key, policy)
        return self.ask(method, f"{path}?api-version=2021-04-12", body, Authorization=token, **headers)

    def dps(self, method, path):
        policy, key = self._world.dps_key
        return self.ask(method, f"{path}?api-version=2021-10-01", None, Authorization=sas(self._world.host, key, policy))

    def hub_page(self, method, path, body, **headers):
        """A page of a list and the token of the next one."""
        status, page = self.hub(method, path, body, **headers)
        if status != 200:
            raise mqtt.Refused(f"{path}: {status} {page}")
        return page, self.headers.get("x-ms-continuation")

    def twins(self, method, path, body=None, **headers):
        if not self._token:
            form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": self._world.client_id,
                                           "client_secret": self._world.client_secret,
                                           "scope": "https://digitaltwins.azure.net/.default"})
            status, answer = self.ask("POST", f"/{self._world.tenant}/oauth2/v2.0/token", form,
                                      **{"Content-Type": "application/x-www-form-urlencoded"})
            if status != 200:
                raise mqtt.Refused(f"token endpoint: {status} {answer}")
            self._token = answer["access_token"]
        return self.ask(method, f"{path}?api-version=2023-10-31", body, Authorization=f"Bearer {self._token}", **headers)

    def delete_device(self, device):
        return self.hub("DELETE", f"/devices/{device}", None, **{"If-Match": "*"})[0]
