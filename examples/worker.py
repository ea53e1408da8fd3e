#!/usr/bin/env python3
"""A worker for kootask, with the standard library alone; docs/workers.md says why so.

    KOOTASK_URL=http://127.0.0.1:8080 KOOTASK_TOKEN=… python3 examples/worker.py
"""
import http.client, json, os, signal, threading, time, urllib.request, uuid

URL = os.environ.get("KOOTASK_URL", "http://127.0.0.1:8080") + "/kootask/v1/worker/"
TOKEN = os.environ.get("KOOTASK_TOKEN", "dev")
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
LEASE = int(os.environ.get("KOOTASK_LEASE_SECONDS", "60"))
stopping = threading.Event()

def call(path, **body):
    """The answer. What is lost on the way is sent again: every call can be repeated."""
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), HEADERS)
    for pause in (0.2, 0.5, 1, 2, 5, 5, 5):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if getattr(error, "code", 503) not in (408, 429, 500, 503):
                raise  # 409: the task is ours no longer
        time.sleep(pause)
    raise TimeoutError(path)

def do(step, task):
    """A step that may be done twice. What it touches should refuse a lower fence."""
    print(step, task["taskId"], "with fence", task["fence"], flush=True)
    time.sleep(1)

def work(task, until):
    """One attempt at a task, which is ours until then."""
    about, over, lease = {"fence": task["fence"]}, threading.Event(), task["leaseSeconds"]
    held = {"state": "held", "until": until}
    def keep():
        while not over.wait(lease / 3):
            sent, beat = time.monotonic(), {"taskId": task["taskId"], **about}
            held.update(call("heartbeat", tasks=[beat])["tasks"][0], until=sent + lease)
    threading.Thread(target=keep, daemon=True).start()
    end = "complete"
    for step in ("transfer the files", "delete the account"):
        if held["state"] == "lost" or time.monotonic() > held["until"]:
            return over.set()  # somebody else may be at it already
        if stopping.is_set() or held["state"] == "cancel":
            end = "release"  # which is the end of a cancelled task
            break
        do(step, task)
    over.set()
    call(f"tasks/{task['taskId']}/{end}", **about)

signal.signal(signal.SIGTERM, lambda *_: stopping.set())
while not stopping.is_set():
    try:
        who, sent = {"worker": f"w{os.getpid()}", "claimId": str(uuid.uuid4())}, time.monotonic()
        for task in call("claim", **who, leaseSeconds=LEASE, waitSeconds=5)["tasks"]:
            work(task, sent + task["leaseSeconds"])
    except OSError as error:
        print("going on after:", error, flush=True)
