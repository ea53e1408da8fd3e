"""A worker of the tests: it does tasks, and writes down what it was promised.

    python3 crew.py NAME SERVICES LEDGER

SERVICES is a file with the URLs of the services, a line each; it may change. LEDGER gets
a line of JSON for each answer. Before a report it looks at no clock: whoever was paused
reports late, and must be refused.
"""
import http.client, json, random, sys, time, urllib.error, urllib.request, uuid

NAME, SERVICES, LEDGER = sys.argv[1:]
LEASE = 10
HEADERS = {"Authorization": "Bearer a-worker", "Content-Type": "application/json"}
ledger = open(LEDGER, "a", buffering=1)


def call(path, body):
    """When it was asked, the status and the answer; asked again until there is one."""
    while True:
        sent = time.monotonic()
        try:
            with open(SERVICES) as services:
                url = random.choice(services.read().split())
            request = urllib.request.Request(
                f"{url}/kootask/v1/worker/{path}", json.dumps(body).encode(), HEADERS
            )
            with urllib.request.urlopen(request, timeout=4) as answer:
                return sent, 200, json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 409:
                return sent, 409, json.load(error)
            assert error.code in (429, 500, 503), (path, body, error.code, error.read())
        except (OSError, http.client.HTTPException, ValueError):
            pass
        time.sleep(0.1)


def note(what, task, **more):
    line = {"what": what, "task": task["taskId"], "fence": task["fence"], "by": NAME}
    ledger.write(json.dumps({**line, **more}) + "\n")


def held(task, sent):
    """It is ours from now on, as far as we know, until its lease ends."""
    now, until = time.monotonic(), sent + LEASE
    note("held", task, since=now, until=until, ends=time.time() + until - now)


while True:
    claim = {"worker": NAME, "claimId": str(uuid.uuid4()), "max": 4}
    sent, _, answer = call("claim", {**claim, "leaseSeconds": LEASE, "waitSeconds": 1})
    tasks = answer["tasks"]
    for task in tasks:
        held(task, sent)
    while tasks:
        beats = [{"taskId": task["taskId"], "fence": task["fence"]} for task in tasks]
        sent, _, answer = call("heartbeat", {"tasks": beats})
        for task, told in zip(tasks, answer["tasks"]):
            if told["state"] == "held":
                held(task, sent)
        time.sleep(random.uniform(0.05, 0.2))
        task = tasks.pop(0)
        note("reporting", task)
        _, status, _ = call(f"tasks/{task['taskId']}/complete", {"fence": task["fence"]})
        note("ended" if status == 200 else "refused", task)
