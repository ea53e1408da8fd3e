"""compose.yaml: the stand-in by its name, and three instances that lose one another."""

import contextlib
import http.client
import shutil
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from containers import PREFIX, PROJECT, VERIFY, Service, docker, users, wait_until

INSTANCES = ("kootask-1", "kootask-2", "kootask-3")
# What a lease of a node lasts, in seconds.
LEASE = 15


class Compose:
    """A project of compose.yaml in a folder of its own."""

    def __init__(self, folder, *profiles):
        self.name = f"kootask-test-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.profiles = [f"--profile={profile}" for profile in profiles]
        shutil.copy(PROJECT / "compose.yaml", folder)
        shutil.copytree(PROJECT / "deploy", folder / "deploy")
        (folder / "secrets").mkdir()
        for secret in ("database-password", "app-secret"):
            (folder / "secrets" / secret).write_text(f"a secret of some length: {secret}\n")
            (folder / "secrets" / secret).chmod(0o644)
        # A token as well, so that the load need not be signed.
        lines = [f"      {name}: {value}" for name, value in VERIFY.items()]
        services = [f"  {instance}:\n    environment:\n" + "\n".join(lines) for instance in INSTANCES]
        (folder / "compose.override.yaml").write_text("services:\n" + "\n".join(services) + "\n")

    def __call__(self, *arguments, timeout=300):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        program = ["docker", "compose"] if plugin else ["docker-compose"]
        files = ["--file=compose.yaml"] + (["--file=compose.override.yaml"] if self.profiles else [])
        done = subprocess.run(
            [*program, f"--project-name={self.name}", *files, *self.profiles, *arguments],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def container(self, service):
        of = [f"--filter=label=com.docker.compose.{label}" for label in (f"project={self.name}", f"service={service}")]
        return docker("ps", "--all", "--quiet", *of)

    @property
    def network(self):
        return f"{self.name}_default"

    def down(self):
        with contextlib.suppress(AssertionError):
            logs = self("logs", "--no-color")
            (self.folder / "logs").write_text(logs)
        self("down", "--volumes", "--timeout=1")


@pytest.fixture
def stand_in(tmp_path):
    compose = Compose(tmp_path)
    try:
        compose("up", "--detach")
        yield compose
    finally:
        compose.down()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    compose = Compose(tmp_path_factory.mktemp("service"), "service")
    try:
        compose("up", "--detach")
        Service(8000).up()
        yield compose
    finally:
        compose.down()


def curl(compose, *arguments):
    """What curl says in a container of this project's network."""
    headers = [f"{name}: {value}" for name, value in Service.headers().items()]
    options = [word for header in headers for word in ("--header", header)] + ["--silent", "--max-time", "5"]
    network = f"--network={compose.network}"
    return docker("run", "--rm", network, "--entrypoint=curl", "nginx:1.26", *options, *arguments, check=False)


def test_a_console_reaches_the_stand_in_by_its_name(stand_in):
    Service(8080).up()
    task = '{"taskType":0,"srcUserId":"1397687227244555008","dstUserId":"1507947856550550784"}'
    url = f"http://stand-in:8080{PREFIX}"
    assert '"code":0' in curl(stand_in, "--data", task, url + "create")
    assert "1397687227244555008" in curl(stand_in, url + "list")


def test_a_signature_stays_valid_behind_nginx(service):
    url = f"http://127.0.0.1:8000{PREFIX}list?pageSize=1"
    sign = ["sign", "--send", "--app-id=admin-console", "--user=1505084218764547200", "GET", url]
    secret = "--env=KOOTASK_APP_SECRET=a secret of some length: app-secret"
    assert "taskList" in docker("run", "--rm", "--network=host", secret, "kootask", *sign)


class Load:
    """Creates through a proxy, each repeated by its key until it is answered."""

    def __init__(self, threads=8, port=8000):
        self.port = port
        self.acknowledged = {}
        self.troubles = []
        self.stopped = threading.Event()
        self.threads = ThreadPoolExecutor(threads)
        self.running = []
        self.count = threads

    def __enter__(self):
        self.running = [self.threads.submit(self.work) for _ in range(self.count)]
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.threads.shutdown()
        for thread in self.running:
            thread.result()

    def work(self):
        service = Service(self.port)
        while not self.stopped.is_set():
            user, key = next(users), str(uuid.uuid4())
            end = time.monotonic() + 120
            while True:
                try:
                    status, answer = service.create(user, key, timeout=20)
                except (OSError, http.client.HTTPException) as error:
                    status, answer = None, error
                if status == 200:
                    self.acknowledged[answer["taskId"]] = str(user)
                    break
                self.troubles.append((status, answer))
                assert time.monotonic() < end, answer
                time.sleep(0.05)

    def goes_on(self, more=200):
        """Waits until so many more are acknowledged."""
        aim = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= aim, f"{more} more tasks", 120)


def query(compose, sql):
    rows = docker("exec", compose.container("postgres"), "psql", "--username=kootask", "-AtF,", f"--command={sql}")
    return [row.split(",") for row in rows.splitlines()]


def answers_itself(compose, instance):
    return "taskList" in curl(compose, f"http://{instance}:8080{PREFIX}list?pageSize=1")


def test_no_task_is_lost_or_doubled_whatever_goes(service):
    one, two = service.container("kootask-1"), service.container("kootask-2")
    with Load() as load:
        load.goes_on()
        docker("kill", one)
        load.goes_on()
        docker("network", "disconnect", service.network, two)
        cut_off = time.monotonic()
        docker("start", one)
        load.goes_on()
        wait_until(lambda: time.monotonic() > cut_off + LEASE + 5, "the end of the lease")
        docker("network", "connect", "--alias=kootask-2", service.network, two)
        load.goes_on()
        docker("restart", service.container("postgres"))
        load.goes_on()
        for instance in INSTANCES:
            wait_until(lambda: answers_itself(service, instance), f"an answer of {instance}", 90)
        load.goes_on()
    tasks = query(service, "SELECT id, src_user_id FROM task")
    kept = {task: user for task, user in tasks}
    assert len(kept) == len(tasks)
    lost = {task: user for task, user in load.acknowledged.items() if kept.get(task) != user}
    assert not lost, lost
    doubled = query(service, "SELECT src_user_id, count(*) FROM task GROUP BY 1 HAVING count(*) > 1")
    assert not doubled, doubled
    # Each node that is held has one holder, and each instance has one.
    held = query(service, "SELECT node, holder FROM node_lease WHERE expires_at > now()")
    assert len({holder for _, holder in held}) == len(held) >= len(INSTANCES), held


@pytest.fixture
def haproxy(service):
    """The port of an HAProxy before the three instances, told what deploy/ has."""
    name = f"{service.name}_haproxy"
    file = PROJECT / "deploy" / "haproxy" / "haproxy.cfg"
    mount = f"--volume={file}:/usr/local/etc/haproxy/haproxy.cfg:ro"
    user = "--user=root"  # for port 80
    network = f"--network={service.network}"
    docker("run", "--detach", "--name", name, user, network, mount, "--publish=127.0.0.1::80", "haproxy:3.0")
    try:
        port = int(docker("port", name, "80/tcp").splitlines()[0].rsplit(":", 1)[1])
        Service(port).up()
        yield port
    finally:
        docker("rm", "--force", name)


def restart_each(service, load):
    for instance in INSTANCES:
        docker("restart", "--time=15", service.container(instance))
        wait_until(lambda: answers_itself(service, instance), f"an answer of {instance}")
        load.goes_on(100)


def nothing_was_refused_or_lost(service, load):
    assert load.troubles == []
    kept = {task for task, in query(service, "SELECT id FROM task")}
    assert set(load.acknowledged) <= kept


def test_a_rolling_restart_behind_nginx_refuses_and_loses_nothing(service):
    with Load(threads=4) as load:
        load.goes_on(100)
        restart_each(service, load)
    nothing_was_refused_or_lost(service, load)


def test_a_rolling_restart_behind_haproxy_refuses_and_loses_nothing(service, haproxy):
    with Load(threads=4, port=haproxy) as load:
        load.goes_on(100)
        restart_each(service, load)
    nothing_was_refused_or_lost(service, load)
