#!/usr/bin/env python3
"""How a console is tested against the stand-in, with the standard library alone.

    KOOTASK_PROGRAM=target/release/kootask python3 examples/console-test.py
"""
import contextlib, http.client, json, os, subprocess, time, unittest, uuid
from concurrent.futures import ThreadPoolExecutor

OLD = {"srcUserId": "137", "dstUserId": "150", "status": "SUCCESS", "age": "1h"}
FAILED = {"match": {"srcUserId": "139*"}, "then": {"end": "FAILED", "resultCode": "18000205"}}

def setUpModule():
    global address
    command = [os.environ.get("KOOTASK_PROGRAM", "kootask"), "dev", "--listen", "127.0.0.1:0"]
    command += ["--progress", "new 1 poll, executing 2 polls"]  # nothing sleeps, nothing is flaky
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    stand_in = subprocess.Popen(command, env={**os.environ, "RUST_LOG": "kootask::ready=info"}, **pipes)
    unittest.addModuleCleanup(lambda: (stand_in.terminate(), stand_in.communicate(timeout=30)))
    address = json.loads(stand_in.stdout.readline())["address"]

def call(method, path, body=None, headers={}):
    with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        headers = {"Content-Type": "application/json", **headers}
        connection.request(method, path, body and json.dumps(body), headers)
        return json.load(connection.getresponse())

class ConsoleTest(unittest.TestCase):
    def setUp(self):
        self.tenant = uuid.uuid4().hex  # of its own: no other test is in its way
        call("PUT", f"/kootask/dev/state?tenant={self.tenant}", {"tasks": [OLD], "rules": [FAILED]})
    def console(self, method, path, body=None, tenant=None):  # in its place stands your console
        who = {"Authorization": f"Bearer tenant.{tenant or self.tenant}", "X-User-Id": "1505084218764547200"}
        date = {"X-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())}
        return call(method, "/koodrive/ose/v1/task/" + path, body, {**who, **date})
    def polled(self, path, tenant=None):
        return [self.console("GET", path, tenant=tenant) for _ in range(4)]
    def transfer(self, src, tenant=None):
        body = {"srcUserId": src, "dstUserId": "150"}
        return self.polled(self.console("POST", "create", body, tenant)["taskId"], tenant)
    def verify(self, tenant=None, **wanted):
        verdict = call("POST", f"/kootask/dev/journal/verify?tenant={tenant or self.tenant}", wanted)
        self.assertTrue(verdict.get("ok"), verdict.get("text", verdict))
    def test_a_transfer_is_watched_to_its_end(self):
        self.assertEqual([poll["status"] for poll in self.transfer("138")], [0, 1, 1, 2])
        self.assertEqual([task["taskName"] for task in self.console("GET", "list")["taskList"]], ["137", "138"])
        self.verify(match={"call": "create", "srcUserId": "138"}, count=1)
    def test_a_failure_has_its_code(self):
        self.assertEqual(self.transfer("1391")[-1]["resultCode"], "18000205")
    def test_an_import_names_its_failed_rows(self):
        body = {"taskType": 1, "resultId": "staff--rows-97-3", "orgId": "1", "orgUserId": "2"}
        data = self.polled("result?taskId=" + self.console("POST", "create", body)["taskId"])[-1]["data"]
        self.assertEqual((data["successCount"], len(data["failInfoList"])), (97, 3))
    def test_tenants_side_by_side(self):
        tenants = [f"{self.tenant}-{number}" for number in range(8)]
        polled = ThreadPoolExecutor().map(lambda tenant: self.transfer("138", tenant), tenants)
        for tenant, polls in zip(tenants, polled):
            self.assertEqual([poll["status"] for poll in polls], [0, 1, 1, 2])
            self.verify(tenant, match={"call": "create"}, count=1)
unittest.main()
