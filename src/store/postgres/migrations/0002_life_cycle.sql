-- The life of a task. A create writes none of this but created_by: every column
-- may be null. A program that knows only 0001 runs on this schema as long as no
-- task is in status 4 (waiting). import_result, which nothing wrote, stays for it.

ALTER TABLE task
    ADD COLUMN created_by       text,
    ADD COLUMN fence            bigint,
    ADD COLUMN attempts_counted bigint,
    -- The attempt that runs, or the last one.
    ADD COLUMN claim_id         text,
    ADD COLUMN worker           text,
    ADD COLUMN holder           text,
    ADD COLUMN lease_seconds    bigint,
    -- Milliseconds since the Unix epoch, as all times.
    ADD COLUMN claimed_at       bigint,
    ADD COLUMN progress_at      bigint,
    ADD COLUMN due_at           bigint,
    -- 1, or null.
    ADD COLUMN cancel_requested bigint,
    ADD COLUMN success_count    bigint,
    ADD COLUMN fail_count       bigint,
    ADD COLUMN failure_rows     bigint;

-- Attempts that ended without success. Append-only.
CREATE TABLE attempt (
    task_id    bigint   NOT NULL,
    fence      bigint   NOT NULL,
    worker     text     NOT NULL,
    holder     text     NOT NULL,
    started_at bigint   NOT NULL,
    ended_at   bigint   NOT NULL,
    -- 1 failed, 2 released, 3 lost
    how        smallint NOT NULL,
    code       text,
    PRIMARY KEY (task_id, fence)
);

-- What tenants did to tasks. Append-only.
CREATE TABLE action (
    task_id    bigint   NOT NULL,
    at         bigint   NOT NULL,
    -- 0 cancel, 1 retry
    kind       smallint NOT NULL,
    credential text,
    user_id    text     NOT NULL
);
CREATE INDEX action_by_task ON action (task_id);

-- The users that an attempt of a batch import could not take. Append-only.
CREATE TABLE import_failure (
    task_id     bigint NOT NULL,
    fence       bigint NOT NULL,
    position    bigint NOT NULL,
    user_name   text   NOT NULL,
    description text   NOT NULL,
    PRIMARY KEY (task_id, fence, position)
);

-- A user's newest batch import. What a list of imports asks for does not imply the
-- second condition: else, with statistics that lag, all of a tenant's imports are
-- read through this index and sorted.
DROP INDEX import_by_user;
CREATE INDEX import_by_user ON task (tenant_id, user_id, id)
    WHERE task_type = 1 AND user_id <> '';

-- Tasks that are to be tried again, by when.
CREATE INDEX task_by_due ON task (tenant_id, task_type, due_at, id) WHERE due_at IS NOT NULL;

-- The leases that are held. A heartbeat changes ends_at alone, and no index has it:
-- none is written then, as long as the page has room, and half of it is kept free.
CREATE TABLE lease (
    node      integer     NOT NULL,
    task_id   bigint      NOT NULL,
    fence     bigint      NOT NULL,
    tenant_id text        NOT NULL,
    holder    text        NOT NULL,
    claim_id  text        NOT NULL,
    -- By the database's clock.
    ends_at   timestamptz NOT NULL,
    PRIMARY KEY (node, task_id)
) WITH (fillfactor = 50);

-- To give a claim that is repeated what it got.
CREATE INDEX lease_by_claim ON lease (claim_id);
