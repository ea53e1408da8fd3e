"""The Docker engine, and calls to what runs in its containers."""

import contextlib
import datetime
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import subprocess
import time
import uuid

PROJECT = pathlib.Path(__file__).parents[2]
PREFIX = "/koodrive/ose/v1/task/"
TENANT = {"KOOTASK__AUTH__TOKENS__0__TENANT_ID": "my-company"}
TOKEN = "container-test"
# The SHA-256 of the token.
VERIFY = TENANT | {
    "KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256": hashlib.sha256(TOKEN.encode()).hexdigest()
}
users = itertools.count(1_000_000_000_000_000_000)


def docker(*arguments, check=True, timeout=120):
    """What `docker` says to this, standard error included."""
    done = subprocess.run(
        ["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
    )
    assert done.returncode == 0 or not check, f"docker {arguments}: {done.stdout}"
    return done.stdout.strip()


def wait_until(condition, what, seconds=60):
    """Waits until this holds, and returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.1)


class Service:
    """kootask as it is reached at a port of this machine."""

    def __init__(self, port):
        self.port = int(port)

    def call(self, method, path, body=None, headers=(), timeout=15):
        """The status and the answer: JSON, or the text of a proxy."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body and json.dumps(body), self.headers() | dict(headers))
            answer = connection.getresponse()
            text = answer.read().decode()
        is_json = answer.getheader("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json else text

    @staticmethod
    def headers():
        return {
            "Content-Type": "application/json",
            "X-Date": datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ"),
            "X-User-Id": "1505084218764547200",
            "Authorization": f"Bearer {TOKEN}",
        }

    def create(self, user=None, key=None, timeout=15):
        """Has a user's files transferred; the status and the answer."""
        task = {"taskType": 0, "srcUserId": str(user or next(users)), "dstUserId": "1507947856550550784"}
        return self.call("POST", PREFIX + "create", task, {"Idempotency-Key": key or str(uuid.uuid4())}, timeout)

    def created(self):
        status, answer = self.create()
        assert status == 200, answer
        return answer["taskId"]

    def has(self, task_id):
        status, answer = self.call("GET", PREFIX + task_id)
        assert status in (200, 404), answer
        return status == 200

    def answers(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.call("GET", PREFIX + "list")[0] == 200

    def up(self):
        wait_until(self.answers, f"an answer at port {self.port}")
        return self


class Container(Service):
    """A container of kootask's image, its port published on loopback."""

    def __init__(self, *options, image="kootask", command=(), environment=VERIFY):
        self.name = f"kootask-test-{uuid.uuid4().hex[:8]}"
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        docker("create", "--name", self.name, "--publish=127.0.0.1::8080", *variables, *options, image, *command)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        docker("rm", "--force", "--volumes", self.name)

    def start(self):
        docker("start", self.name)
        published = docker("port", self.name, "8080/tcp", check=False).splitlines()
        if self.state("Running") == "true" and published:
            super().__init__(published[0].rsplit(":", 1)[1])
        return self

    def state(self, of):
        return docker("inspect", "--format", "{{.State." + of + "}}", self.name)

    def ended(self, seconds=30):
        """Waits for its end; its exit code and all that it said."""
        wait_until(lambda: self.state("Running") == "false", "its end", seconds)
        return int(self.state("ExitCode")), docker("logs", self.name)

    def stop(self):
        """As `docker stop` does; how long it took, in seconds."""
        begun = time.monotonic()
        docker("stop", self.name)
        return time.monotonic() - begun


def is_prebuilt():
    """Whether the program in the image is not what the Dockerfile builds."""
    return bool(os.environ.get("KOOTASK_PREBUILT"))
