"""What the run adds to schemathesis: the tasks that exist, the rules that a
schema cannot express, and a record of the answers that were seen."""

import os

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

TASKS = "/koodrive/ose/v1/task/"
IDS = range(1, 2**63)

seen = set()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Adds what exists to the document's examples, and where those exist what
    does not."""
    transfer, batch_import = os.environ["TRANSFER_ID"], os.environ["IMPORT_ID"]
    paths = raw_schema["paths"]
    add_examples(paths[TASKS + "{task_id}"], "task_id", transfer, batch_import)
    add_examples(paths[TASKS + "result"], "taskId", batch_import)
    add_examples(paths[TASKS + "list"], "pageCursor", transfer)
    add_examples(paths[TASKS + "dstUserInfo/{src_user_id}"], "src_user_id", "nobody")
    for call in ("tasks/{task_id}", "worker/tasks/{task_id}"):
        for path in (path for path in paths if path.startswith(f"/kootask/v1/{call}/")):
            add_examples(paths[path], "task_id", transfer, batch_import, str(2**62))


def add_examples(path, name, *values):
    operation = path.get("get") or path["post"]
    for parameter in operation["parameters"]:
        if parameter.get("name") == name:
            documented = parameter.pop("example", values[0])
            parameter["examples"] = {
                value: {"value": value} for value in [documented, *values]
            }


@schemathesis.hook
def before_add_examples(context, examples):
    """Adds a request that is too old: X-Date is otherwise always current."""
    current = examples[0]
    if "X-Date" not in (current.headers or {}):
        return
    old = context.operation.Case(
        path_parameters=current.path_parameters,
        query=current.query,
        headers={**current.headers, "X-Date": "20251103T070140Z"},
        body=current.body,
        media_type=current.media_type,
    )
    examples.append(old)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Has no claim wait: most would, for up to half a minute."""
    if isinstance(case.body, dict) and case.body.get("waitSeconds") in range(1, 31):
        case.body = {**case.body, "waitSeconds": 0}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Lets pass that a request is refused which only its schema allows."""
    refused = isinstance(failure, RejectedPositiveData)
    return not (refused and breaks_a_further_rule(case, response))


def breaks_a_further_rule(case, response):
    if response.status_code == 422:
        # A key that came before, with another body.
        return "Idempotency-Key" in case.headers
    if response.status_code != 400:
        return False
    body = case.body if isinstance(case.body, dict) else {}
    query = case.query or {}
    path = case.path_parameters or {}
    spellings = [query[name] for name in ("taskId", "taskid") if query.get(name)]
    tasks = body.get("tasks") or []
    ids = [*spellings, path.get("task_id"), *(task["taskId"] for task in tasks)]
    if "-" not in query.get("pageCursor", ""):
        ids.append(query.get("pageCursor"))
    counts = [{"successCount", "failCount"} & given(part) for part in (body, *tasks)]
    return (
        # Nobody receives their own files.
        ("srcUserId" in body and body["srcUserId"] == body.get("dstUserId"))
        # An id has at most 19 digits, but not all such numbers are below 2^63.
        or any(len(id) == 19 and int(id) not in IDS for id in ids if id)
        # The two spellings of one parameter must agree.
        or len(set(spellings)) > 1
        # Of a worker's two counts both are given, or none.
        or any(len(both) == 1 for both in counts)
        # Another attempt has other failures.
        or "is of an earlier attempt" in response.text
        # A transfer has no import result.
        or "must be the id of a batch import" in response.text
    )


def given(fields):
    return {name for name, value in fields.items() if value is not None}


@schemathesis.hook
def after_call(context, case, response):
    """Records with which statuses each call was answered."""
    answer = f"{case.operation.definition.raw['operationId']} {response.status_code}"
    if answer not in seen:
        seen.add(answer)
        with open(os.environ["REACHED"], "a") as file:
            print(answer, file=file)
