-- The life of a task. A create writes none of this but created_by: every column
-- may be null. A program that knows only 0001 runs on this schema as long as no
-- task is in status 4 (waiting). import_result, which nothing wrote, stays for it.

ALTER TABLE task ADD COLUMN created_by       TEXT;
ALTER TABLE task ADD COLUMN fence            INTEGER;
ALTER TABLE task ADD COLUMN attempts_counted INTEGER;
-- The attempt that runs, or the last one.
ALTER TABLE task ADD COLUMN claim_id         TEXT;
ALTER TABLE task ADD COLUMN worker           TEXT;
ALTER TABLE task ADD COLUMN holder           TEXT;
ALTER TABLE task ADD COLUMN lease_seconds    INTEGER;
-- Milliseconds since the Unix epoch, as all times.
ALTER TABLE task ADD COLUMN claimed_at       INTEGER;
ALTER TABLE task ADD COLUMN progress_at      INTEGER;
ALTER TABLE task ADD COLUMN due_at           INTEGER;
-- 1, or null.
ALTER TABLE task ADD COLUMN cancel_requested INTEGER;
ALTER TABLE task ADD COLUMN success_count    INTEGER;
ALTER TABLE task ADD COLUMN fail_count       INTEGER;
ALTER TABLE task ADD COLUMN failure_rows     INTEGER;

-- Retries, by when they are due. A create is not in it.
CREATE INDEX task_due ON task (tenant_id, task_type, due_at, id) WHERE due_at IS NOT NULL;

-- Attempts that ended without success. Append-only.
CREATE TABLE attempt (
    task_id    INTEGER NOT NULL,
    fence      INTEGER NOT NULL,
    worker     TEXT    NOT NULL,
    holder     TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    -- 1 failed, 2 released, 3 lost
    how        INTEGER NOT NULL,
    code       TEXT,
    PRIMARY KEY (task_id, fence)
) STRICT, WITHOUT ROWID;

-- What tenants did to tasks. Append-only.
CREATE TABLE action (
    task_id    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    -- 0 cancel, 1 retry
    kind       INTEGER NOT NULL,
    credential TEXT,
    user_id    TEXT    NOT NULL
) STRICT;
CREATE INDEX action_by_task ON action (task_id);

-- The users that an attempt of a batch import could not take. Append-only.
CREATE TABLE import_failure (
    task_id     INTEGER NOT NULL,
    fence       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    user_name   TEXT    NOT NULL,
    description TEXT    NOT NULL,
    PRIMARY KEY (task_id, fence, position)
) STRICT, WITHOUT ROWID;

-- The keys of a task besides the first: a signature, or the key of a repetition.
CREATE TABLE further_key (
    task_id     INTEGER NOT NULL,
    key_digest  BLOB    NOT NULL,
    body_digest BLOB    NOT NULL,
    PRIMARY KEY (task_id, key_digest)
) STRICT, WITHOUT ROWID;
