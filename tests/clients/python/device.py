"""The life of one device through the unmodified `azure-iot-device` package, over MQTT.

Provisions with a key derived from the enrollment group's, connects to the hub it is given, uses its device twin and
sends temperatures. Settings come from the environment (`doppel env` prints them), one `ok` / `not ok` line a check, and
the last line is "N passed, N failed".
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading

from azure.iot.device import IoTHubDeviceClient, Message, ProvisioningDeviceClient
from azure.iot.device.exceptions import ClientError, CredentialError

HOST = os.environ["PROVISIONING_HOST"]
ID_SCOPE = os.environ["PROVISIONING_IDSCOPE"]
GROUP_KEY = os.environ["PROVISIONING_SYMMETRIC_KEY"]
MODEL_ID = os.environ["MODEL_ID"]
REGISTRATION_ID = sys.argv[1]
MESSAGES = 20
LAST_TEMPERATURE = float(sys.argv[2])
HANG_S = 120  # for everything; it takes about ten seconds

passed = failed = 0


def check(title, action):
    """Runs one check; what it returns is remembered as its result, an exception fails it."""
    global passed, failed
    try:
        result = action()
    except Exception as error:  # any error of the SDK is a failed check, and told
        failed += 1
        print(f"  not ok - {title}: {type(error).__name__}: {error}", flush=True)
        return None
    passed += 1
    print(f"  ok - {title}", flush=True)
    return result


def expect(actual, wanted, what):
    if actual != wanted:
        raise AssertionError(f"{what} is {actual!r}, not {wanted!r}")


def device_key():
    mac = hmac.new(base64.b64decode(GROUP_KEY), REGISTRATION_ID.encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def provision(key):
    client = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host=HOST, registration_id=REGISTRATION_ID, id_scope=ID_SCOPE, symmetric_key=key
    )
    client.provisioning_payload = {"modelId": MODEL_ID}
    result = client.register()
    expect(result.status, "assigned", "the status")
    expect(result.registration_state.device_id, REGISTRATION_ID, "the device ID")
    return result.registration_state


def refuse_wrong_key():
    wrong = base64.b64encode(b"not the key of this device......").decode()
    try:
        provision(wrong)
    except (ClientError, CredentialError):
        return
    raise AssertionError("a wrong key was accepted")


def send_all(client):
    for number in range(MESSAGES):
        temperature = LAST_TEMPERATURE if number == MESSAGES - 1 else 20 + number / 10
        message = Message(json.dumps({"Temperature": temperature}))
        message.content_type = "application/json"
        message.content_encoding = "utf-8"
        message.custom_properties["number"] = str(number)
        client.send_message(message)  # returns once acknowledged


def patch_reported(client):
    before = client.get_twin()["reported"]["$version"]
    client.patch_twin_reported_properties({"fan": {"speed": 3}})
    after = client.get_twin()["reported"]
    expect(after["fan"], {"speed": 3}, "the reported property")
    expect(after["$version"], before + 1, "the version")


def main():
    check("a wrong key is refused", refuse_wrong_key)
    state = check("provisions with a key derived from the group's", lambda: provision(device_key()))
    if state is not None:
        client = IoTHubDeviceClient.create_from_symmetric_key(
            symmetric_key=device_key(), hostname=state.assigned_hub, device_id=state.device_id
        )
        check(f"connects to the hub {state.assigned_hub}", client.connect)
        check("reads and reports its device twin", lambda: patch_reported(client))
        check(f"sends {MESSAGES} messages, each acknowledged", lambda: send_all(client))
        check("disconnects", client.shutdown)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    # A client whose connection hangs would wait for ever.
    watchdog = threading.Timer(HANG_S, lambda: (print("  not ok - the client hung", flush=True), os._exit(1)))
    watchdog.daemon = True
    watchdog.start()
    sys.exit(main())
