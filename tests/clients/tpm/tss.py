#!/usr/bin/python3
"""TPM attestation over HTTPS by a client of its own on tpm2-tss (Debian's tpm2-tools), the TPM an swtpm: RSA and EC keys, from the
challenge to a message at the hub. Microsoft's SDKs know RSA only. Settings: the variables of `doppel env`."""

import base64, hashlib, hmac, http.client, json, os, shutil, ssl, struct, subprocess, sys, tempfile, time
import urllib.parse

START_S = 20
SRK_ATTRIBUTES = "restricted|decrypt|fixedtpm|fixedparent|noda|userwithauth|sensitivedataorigin"


def sas(resource, sign, policy=""):
    until = str(int(time.time()) + 3600)
    encoded = urllib.parse.quote(resource, safe="")
    signature = urllib.parse.quote(base64.b64encode(sign(f"{encoded}\n{until}".encode())), safe="")
    token = f"SharedAccessSignature sr={encoded}&sig={signature}&se={until}"
    return token + (f"&skn={policy}" if policy else "")


class Tpm:
    """An swtpm with an endorsement key and a storage root key of one kind ("rsa", "ecc")."""

    def __init__(self, kind):
        self.dir = tempfile.mkdtemp(prefix="doppel-tss-")
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.dir}", "--server", f"type=unixio,path={self.dir}/tpm", "--ctrl",
             f"type=unixio,path={self.dir}/tpm.ctrl", "--flags", "not-need-init,startup-clear"], stderr=subprocess.DEVNULL)
        self.env = dict(os.environ, TPM2TOOLS_TCTI=f"swtpm:path={self.dir}/tpm")
        end = time.monotonic() + START_S
        while not all(os.path.exists(f"{self.dir}/{name}") for name in ("tpm", "tpm.ctrl")):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("swtpm does not start")
            time.sleep(0.01)
        self.tool("createek", "-G", kind, "-c", "ek.ctx", "-u", "ek.pub")
        self.tool("createprimary", "-C", "o", "-g", "sha256", "-G", kind, "-c", "srk.ctx", "-a", SRK_ATTRIBUTES)
        self.tool("readpublic", "-c", "srk.ctx", "-o", "srk.pub")

    def tool(self, name, *arguments):
        for command in ([f"tpm2_{name}", *arguments], ["tpm2_flushcontext", "-t"]):
            done = subprocess.run(command, cwd=self.dir, env=self.env, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")

    def read(self, name):
        with open(os.path.join(self.dir, name), "rb") as file:
            return file.read()

    def write(self, name, content):
        with open(os.path.join(self.dir, name), "wb") as file:
            file.write(content)

    def keys(self):
        return {"endorsementKey": base64.b64encode(self.read("ek.pub")).decode(),
                "storageRootKey": base64.b64encode(self.read("srk.pub")).decode()}

    def activate(self, blob):
        """Loads the key of an activation blob, by the commands that the SDKs give the TPM."""
        parts, rest = [], blob
        while rest:
            size = struct.unpack(">H", rest[:2])[0] + 2
            parts.append(rest[:size])
            rest = rest[size:]
        id_object, secret, duplicate, seed, public, extra = parts
        self.write("credential", struct.pack(">II", 0xBADCC0DE, 1) + id_object + secret)
        self.write("dup.priv", duplicate)
        self.write("dup.seed", seed)
        self.write("key.pub", public)
        if extra != b"\0\0":
            raise RuntimeError("the blob has more parts than it should")
        self.tool("startauthsession", "--policy-session", "-S", "session")
        self.tool("policysecret", "-S", "session", "-c", "e")
        self.tool("activatecredential", "-c", "srk.ctx", "-C", "ek.ctx", "-i", "credential", "-o", "wrap", "-P", "session:session")
        self.tool("flushcontext", "session")
        self.tool("import", "-C", "srk.ctx", "-u", "key.pub", "-i", "dup.priv", "-r", "key.priv", "-s", "dup.seed", "-k", "wrap")
        self.tool("load", "-C", "srk.ctx", "-u", "key.pub", "-r", "key.priv", "-c", "key.ctx")

    def sign(self, text):
        self.write("text", text)
        self.tool("hmac", "-c", "key.ctx", "-g", "sha256", "-o", "mac", "text")
        return self.read("mac")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Server:
    def __init__(self):
        env = os.environ
        self.scope = env["DPS_ID_SCOPE"]
        context = ssl.create_default_context(cafile=env["CA_FILE"])
        ports = dict(pair.split(":") for pair in env.get("PORT_MAP", "").split(",") if pair)
        self.connection = http.client.HTTPSConnection("localhost", int(ports.get("443", "443")), context=context)
        parts = dict(part.split("=", 1) for part in env["DPS_CONNECTION_STRING"].split(";"))
        key = base64.b64decode(parts["SharedAccessKey"])
        self.policy = sas(parts["HostName"], lambda text: hmac.new(key, text, hashlib.sha256).digest(), parts["SharedAccessKeyName"])

    def call(self, method, path, body=None, token=None, version="2019-03-31"):
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if token:
            headers["Authorization"] = token
        self.connection.request(method, f"{path}?api-version={version}", None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}

    def enroll(self, name, key):
        return self.call("PUT", f"/enrollments/{name}", {"registrationId": name, "attestation": {
            "type": "tpm", "tpm": {"endorsementKey": key}}}, self.policy, "2021-10-01")


def expect(what, got, wanted):
    if got != wanted:
        raise RuntimeError(f"{what}: {got}, wanted {wanted}")


def provision(server, kind):
    tpm, name = Tpm(kind), f"tss-{kind}-{os.getpid()}"
    try:
        status, answer = server.enroll(name, tpm.keys()["endorsementKey"])
        expect("enrollment", (status, answer.get("errorCode")), (200, None))
        resource = f"{server.scope}/registrations/{name}"
        body = {"registrationId": name, "tpm": tpm.keys()}
        status, challenge = server.call("PUT", f"/{resource}/register", body)
        expect("challenge", (status, challenge.get("keyName")), (401, "registration"))
        tpm.activate(base64.b64decode(challenge["authenticationKey"]))
        token = sas(resource, tpm.sign, challenge["keyName"])
        status, answer = server.call("PUT", f"/{resource}/register", body, token)
        while status == 202:
            time.sleep(1)
            status, answer = server.call("GET", f"/{resource}/operations/{answer['operationId']}", None, token)
        expect("registration", (status, answer.get("status")), (200, "assigned"))
        state = answer["registrationState"]
        tpm.activate(base64.b64decode(state["tpm"]["authenticationKey"]))
        hub = f"{state['assignedHub']}/devices/{state['deviceId']}"
        status, _ = server.call("POST", f"/devices/{state['deviceId']}/messages/events", {"tpm": kind}, sas(hub, tpm.sign), "2021-04-12")
        expect("a message at the hub", status, 204)
        status, _ = server.call("POST", f"/devices/{state['deviceId']}/messages/events", {}, sas(hub, lambda _: b"guess"), "2021-04-12")
        expect("a message by another key", status, 401)
    finally:
        tpm.stop()


def check_foreign(server):
    """A challenge for our endorsement key and another TPM's storage root key opens in neither."""
    ours, other, name = Tpm("rsa"), Tpm("rsa"), f"tss-foreign-{os.getpid()}"
    try:
        server.enroll(name, ours.keys()["endorsementKey"])
        body = {"registrationId": name, "tpm": dict(ours.keys(), storageRootKey=other.keys()["storageRootKey"])}
        status, challenge = server.call("PUT", f"/{server.scope}/registrations/{name}/register", body)
        expect("challenge", status, 401)
        for tpm in (ours, other):
            try:
                tpm.activate(base64.b64decode(challenge["authenticationKey"]))
            except RuntimeError as error:
                if "activatecredential" not in str(error):
                    raise
            else:
                raise RuntimeError("a TPM activated what was not made for it")
        status, _ = server.call("PUT", f"/{server.scope}/registrations/{name}/register",
                                {"registrationId": name, "tpm": other.keys()})
        expect("another endorsement key", status, 401)
    finally:
        ours.stop()
        other.stop()


def main():
    server, passed, failed = Server(), 0, 0
    cases = (("a TPM with RSA keys provisions and sends to its hub", lambda: provision(server, "rsa")),
             ("a TPM with EC keys provisions and sends to its hub", lambda: provision(server, "ecc")),
             ("a challenge opens in no other TPM", lambda: check_foreign(server)))
    for what, case in cases:
        try:
            case()
            passed += 1
            print(f"  ok - {what}")
        except (RuntimeError, OSError, KeyError, ValueError) as error:
            failed += 1
            print(f"  not ok - {what}: {error!r}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
