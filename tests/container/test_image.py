"""The image by itself: what is in it, and how the service runs in it."""

import concurrent.futures
import contextlib
import http.client
import io
import json
import os
import re
import shlex
import subprocess
import tarfile
import time
import uuid

import pytest

from containers import PROJECT, TOKEN, VERIFY, Container, Service, docker, is_prebuilt, wait_until


@pytest.fixture
def volume():
    name = f"kootask-test-{uuid.uuid4().hex[:8]}"
    docker("volume", "create", name)
    yield name
    docker("volume", "rm", "--force", name)


def configuration(image):
    return json.loads(docker("image", "inspect", image))[0]


@pytest.mark.skipif(is_prebuilt(), reason="the program is not the one that is shipped")
@pytest.mark.parametrize("image", ["kootask", "kootask-dev"])
def test_the_image_is_below_40_mb(image):
    assert configuration(image)["Size"] < 40_000_000


@pytest.mark.parametrize("image", ["kootask", "kootask-dev"])
def test_the_image_does_not_run_as_root(image):
    assert configuration(image)["Config"]["User"] == "65532:65532"


def test_the_image_has_one_program_and_no_shell():
    with Container() as container:
        exported = subprocess.run(["docker", "export", container.name], stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as files:
        programs = [
            file.name
            for file in files
            if file.isfile() and file.mode & 0o111 and re.search(r"(^|/)s?bin/", file.name)
        ]
    assert programs == ["usr/local/bin/kootask"]
    said = docker("run", "--rm", "--entrypoint=/bin/sh", "kootask", "-c", "true", check=False)
    assert "no such file" in said


def test_a_read_only_root_and_a_volume_are_enough(volume):
    options = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--volume={volume}:/data")
    with Container(*options) as container:
        task = container.up().created()
    with Container(*options) as container:
        assert container.up().has(task)


def test_a_folder_of_the_containers_user_holds_the_data(tmp_path):
    os.chown(tmp_path, 65532, 65532)
    with Container(f"--volume={tmp_path}:/data") as container:
        container.up().created()
    assert (tmp_path / "kootask.db").stat().st_uid == 65532


def test_a_folder_of_root_is_refused_in_words(tmp_path):
    tmp_path.chmod(0o755)
    os.chown(tmp_path, 0, 0)
    with Container(f"--volume={tmp_path}:/data") as container:
        code, said = container.ended()
    assert code != 0 and "data/kootask.db" in said and "ermission denied" in said, said
    assert list(tmp_path.iterdir()) == []


def test_docker_stop_ends_it_in_time_whoever_is_connected():
    with Container() as container:
        container.up()
        idle = http.client.HTTPConnection("127.0.0.1", container.port, timeout=5)
        with contextlib.closing(idle):
            idle.connect()
            idle.send(b"POST /koodrive/ose/v1/task/create HTTP/1.1\r\nHo")
            took = container.stop()
        assert container.state("ExitCode") == "0", docker("logs", container.name)
        assert took < 9, took


def test_the_image_for_tests_is_the_stand_in_without_a_command():
    with Container("--read-only", image="kootask-dev", environment={}) as container:
        assert container.up().has(container.created())


def test_docker_is_told_whether_it_is_ready():
    # PostgreSQL is waited for, and then the process ends.
    nowhere = VERIFY | {"KOOTASK__STORE__URL": "postgres://kootask@127.0.0.1:1/kootask"}
    with Container(environment=nowhere) as container:
        failed = lambda: "starting" in docker("inspect", "--format={{json .State.Health.Log}}", container.name)
        wait_until(failed, "a look at its health")
        assert container.state("Health.Status") != "healthy"
    with Container(image="kootask-dev", environment={}) as container:
        wait_until(lambda: container.state("Health.Status") == "healthy", "its health")
        docker("kill", "--signal=STOP", container.name)
        wait_until(lambda: container.state("Health.Status") == "unhealthy", "the end of its health", 120)
        docker("kill", "--signal=CONT", container.name)
        wait_until(lambda: container.state("Health.Status") == "healthy", "its health")


def test_secrets_are_read_from_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret of some length\n")
    os.chown(secret, 65532, 65532)
    secret.chmod(0o400)
    app = {
        "KOOTASK__AUTH__APPS__0__APP_ID": "admin-console",
        "KOOTASK__AUTH__APPS__0__TENANT_ID": "my-company",
        "KOOTASK__AUTH__APPS__0__APP_SECRET_FILE": "/run/secrets/admin-console",
    }
    mount = f"--volume={secret}:/run/secrets/admin-console:ro"
    with Container(mount, environment=VERIFY | app) as container:
        container.up()
        assert "a secret of" not in docker("inspect", container.name) + docker("logs", container.name)
        url = "http://127.0.0.1:8080/koodrive/ose/v1/task/list"
        sign = ["sign", "--send", "--app-id=admin-console", "--user=1505084218764547200", "GET", url]
        network = f"--network=container:{container.name}"
        sent = ["run", "--rm", network, "--env=KOOTASK_APP_SECRET=a secret of some length", "kootask", *sign]
        assert "taskList" in docker(*sent)
    os.chown(secret, 0, 0)
    with Container(mount, environment=VERIFY | app) as container:
        code, said = container.ended()
    assert code != 0 and "/run/secrets/admin-console" in said, said


def test_half_a_core_and_64_mb_are_enough(volume):
    bounds = ("--cpus=0.5", "--memory=64m", "--memory-swap=64m", f"--volume={volume}:/data")
    with Container(*bounds) as container:
        container.up()
        with concurrent.futures.ThreadPoolExecutor(32) as threads:
            statuses = [status for status, _ in threads.map(lambda _: container.create(), range(2000))]
        assert set(statuses) == {200}
        assert container.state("OOMKilled") == "false" and container.state("Running") == "true"


def commands(name):
    """The `docker run` commands in a file's blocks of code, continued lines joined."""
    text = (PROJECT / name).read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.startswith("    docker run ")]


@pytest.mark.parametrize("command", commands("README.md"))
def test_what_the_readme_says_runs_word_for_word(command, tmp_path):
    (tmp_path / "kootask.toml").write_text(
        f'[[auth.tokens]]\ntoken_sha256 = "{VERIFY["KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256"]}"\n'
        'tenant_id = "my-company"\n'
    )
    ours = lambda: set(docker("ps", "--all", "--quiet", "--no-trunc").split())
    before = ours()
    running = subprocess.Popen(
        ["bash", "-c", command], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        service = Service(8080)
        wait_until(lambda: running.poll() is not None or service.answers(), f"an answer to {command}")
        assert running.poll() is None, running.stdout.read()
        assert service.has(service.created())
    finally:
        for container in ours() - before:
            if docker("inspect", "--format={{.Config.Image}}", container) in shlex.split(command):
                docker("rm", "--force", "--volumes", container)
        running.kill()
        docker("volume", "rm", "--force", "kootask", check=False)


def test_the_readme_runs_the_service_and_the_stand_in():
    assert len(commands("README.md")) >= 2
