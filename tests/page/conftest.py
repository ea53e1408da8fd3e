"""A stand-in for all tests, a tenant for each, and a browser."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect, sync_playwright

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TASKS = "/koodrive/ose/v1/task/"
TRANSFER = {"srcUserId": "1397", "dstUserId": "1507"}

expect.set_options(timeout=20_000)


class StandIn:
    """A running `kootask dev`."""

    def __init__(self, listen="127.0.0.1:0"):
        command = [os.environ["KOOTASK"], "dev", "--listen", listen, "--progress", "manual"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env={**os.environ, "RUST_LOG": "kootask::ready=info"})
        ready = json.loads(self.process.stdout.readline())
        self.address = ready["address"]
        self.url = f"http://{self.address}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, body=None, **headers):
        """The status and the body of an answer, whatever it is."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with DIRECT.open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


class Tenant:
    """A tenant of a stand-in, and its page."""

    def __init__(self, stand_in, name):
        self.stand_in, self.name = stand_in, name

    def page(self, **query):
        pairs = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{self.stand_in.url}/kootask/dev/?tenant={self.name}&{pairs}"

    def control(self, method, path, body=None):
        """A call of the stand-in's own, which must succeed."""
        separator = "&" if "?" in path else "?"
        path = f"/kootask/dev/{path}{separator}tenant={self.name}"
        status, answer = self.stand_in.ask(method, path, body)
        assert status == 200, answer
        return answer

    def koodrive(self, method, call, body=None, **headers):
        """A call of a console's."""
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {"X-Date": date, "X-User-Id": "1505", "Authorization": f"Bearer tenant.{self.name}",
                   **headers}
        return self.stand_in.ask(method, TASKS + call, body, **headers)

    def create(self, **fields):
        status, answer = self.koodrive("POST", "create", {**TRANSFER, **fields})
        assert status == 200, answer
        return answer["taskId"]

    def status(self, task):
        return self.control("GET", f"tasks/{task}")["status"]


@pytest.fixture(scope="session")
def stand_in():
    stand_in = StandIn()
    yield stand_in
    stand_in.kill()


@pytest.fixture
def tenant(stand_in, request):
    return Tenant(stand_in, re.sub(r"\W+", "-", request.node.name)[-40:].strip("-"))


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path="/usr/bin/chromium",
                                         args=["--no-sandbox", "--no-proxy-server"])


# What violates the policy, as the browser tells it.
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI, sample}) =>
  violations.push([violatedDirective, blockedURI, sample]));
"""


@pytest.fixture
def open_page(browser):
    """Opens pages; at the end none may have violated the policy or had an error."""
    contexts, errors = [], []

    def opened(url, script=True, **options):
        context = browser.new_context(java_script_enabled=script, **options)
        contexts.append(context)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(url)
        if script:
            expect(page.locator("#state")).to_have_text("live")
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            violations = page.evaluate("window.violations ?? []")
            assert violations == [], violations
        context.close()
    assert errors == [], errors


@pytest.fixture
def page(open_page, tenant):
    """The tenant's page, empty."""
    return open_page(tenant.page())


def free_address():
    """An address that was free a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % taken.getsockname()[1]
