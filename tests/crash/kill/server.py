"""Starts, kills and stops `doppel serve` on one data directory."""

import json
import os
import shlex
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from .azure import World

READY_WITHIN_S = 60  # a loaded CI machine included; on a quiet one it takes well under a second


class NotReady(Exception):
    pass


class Server:
    def __init__(self, doppel, data_dir, log_path, wrapper=()):
        self._doppel, self.data_dir, self._log_path = doppel, data_dir, log_path
        self._wrapper = list(wrapper)
        self._variables = None
        self._process = None

    def launch(self):
        """Starts the process and does not wait for it."""
        with open(self._log_path, "ab") as log:
            self._process = subprocess.Popen(
                self._wrapper + [self._doppel, "serve", "--data-dir", self.data_dir, "--https-port", "0", "--mqtt-port", "0",
                                 "--amqp-port", "0", "--amqp-plain-port", "0"],
                stdout=log, stderr=log)
        self._launched = time.monotonic()

    def start(self):
        """Returns the world of the server when it is ready, and the seconds that took."""
        self.launch()
        while time.monotonic() - self._launched < READY_WITHIN_S:
            if self._process.poll() is not None:
                raise NotReady(f"the server ended by itself with {self._process.returncode}")
            profile = self._ready_profile()
            if profile:
                took = time.monotonic() - self._launched
                if not self._variables:
                    self._variables = self._environment()
                return World(self._variables, profile), took
            time.sleep(0.02)
        raise NotReady(f"the server was not ready within {READY_WITHIN_S} s")

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self, timeout=60):
        """SIGTERM; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def ignores(self, number):
        """Whether the process ignores a signal."""
        with open(f"/proc/{self._process.pid}/status", encoding="ascii") as file:
            mask = next(line for line in file if line.startswith("SigIgn:"))
        return bool(int(mask.split()[1], 16) >> (number - 1) & 1)

    def stop_child(self):
        """SIGTERM to the server under its wrapper, which ends with it (strace keeps signals to itself)."""
        with open(f"/proc/{self._process.pid}/task/{self._process.pid}/children", encoding="ascii") as file:
            for child in file.read().split():
                os.kill(int(child), signal.SIGTERM)
        return self._process.wait(60)

    @property
    def pid(self):
        return self._process.pid

    def health(self):
        """Status of /healthz."""
        with open(f"{self.data_dir}/cli-profile.json", encoding="utf-8") as file:
            profile = json.load(file)
        context = ssl.create_default_context(cafile=profile["caFile"])
        with urllib.request.urlopen(f"https://localhost:{profile['httpsPort']}/healthz", timeout=30, context=context) as answer:
            return answer.status

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def own_end(self):
        """The exit code of a server that ended without being asked (below 0: the signal), else nothing."""
        return self._process.poll()

    def _ready_profile(self):
        # The ports in the profile are those of the start before until the server has written it anew; the certificate
        # of this data directory proves that it is ours who answers.
        try:
            with open(f"{self.data_dir}/cli-profile.json", encoding="utf-8") as file:
                profile = json.load(file)
            context = ssl.create_default_context(cafile=profile["caFile"])
            with urllib.request.urlopen(f"https://localhost:{profile['httpsPort']}/readyz", timeout=5, context=context):
                return profile
        except (OSError, ValueError, urllib.error.URLError):
            return None

    def _environment(self):
        lines = subprocess.run([self._doppel, "env", "--data-dir", self.data_dir], check=True, capture_output=True,
                               text=True, timeout=60).stdout.splitlines()
        return dict(shlex.split(line)[1].split("=", 1) for line in lines)

    def create_event_hub(self, name, partitions):
        """Also when it is there already."""
        subprocess.run([self._doppel, "eventhubs", "eventhub", "create", "--name", name, "--partition-count", str(partitions),
                        "--data-dir", self.data_dir], check=True, capture_output=True, timeout=60)

    def check(self):
        """`doppel check`: exit code and text."""
        done = subprocess.run([self._doppel, "check", "--data-dir", self.data_dir], capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr
