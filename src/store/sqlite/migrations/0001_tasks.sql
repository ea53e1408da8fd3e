-- The rule of this schema: on the path of a create, every key grows with time.
-- What must be found by a key that does not (a source user, an idempotency key)
-- goes through sorted runs, written in bulk: see src/store/sqlite/index.

-- A task; its id tells when it was created.
CREATE TABLE task (
    id          INTEGER PRIMARY KEY,
    tenant_id   TEXT    NOT NULL,
    user_id     TEXT    NOT NULL,
    task_type   INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    locale      TEXT    NOT NULL,
    -- The parameters as a JSON object, as the list call shows them.
    init_params TEXT    NOT NULL,
    result_code TEXT,
    -- Milliseconds since the Unix epoch.
    started_at  INTEGER,
    ended_at    INTEGER
) STRICT;

-- Lists: any choice of types and statuses is a merge of these, in id order.
CREATE INDEX task_by_state ON task (tenant_id, task_type, status, id);

-- A user's newest batch import. Transfers, the many, are not in it.
CREATE INDEX import_by_user ON task (tenant_id, user_id, id) WHERE task_type = 1;

-- What a batch import has done so far.
CREATE TABLE import_result (
    task_id       INTEGER PRIMARY KEY,
    success_count INTEGER NOT NULL,
    fail_count    INTEGER NOT NULL,
    -- A JSON array of {"userName", "desc"}.
    failures      TEXT    NOT NULL
) STRICT;

-- The idempotency of the tasks of the last 24 hours.
CREATE TABLE idempotency (
    task_id     INTEGER PRIMARY KEY,
    key_digest  BLOB NOT NULL,
    body_digest BLOB NOT NULL
) STRICT;

-- A sorted run of an index: 2^prefix_bits blocks, found by fingerprint.
CREATE TABLE index_run (
    id           INTEGER PRIMARY KEY,
    -- 0 idempotency keys, 1 source users of transfers
    kind         INTEGER NOT NULL,
    -- How often its entries were merged.
    level        INTEGER NOT NULL,
    prefix_bits  INTEGER NOT NULL,
    -- 0 being written, 1 live, 2 being deleted
    state        INTEGER NOT NULL,
    -- Every task up to this one is in a live run.
    last_task_id INTEGER NOT NULL
) STRICT;

-- Block number = run << 32 | leading prefix_bits of the fingerprint.
-- Entries: fingerprint and task id, 8 bytes each, big-endian, sorted.
CREATE TABLE index_block (
    id      INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;

-- Makes fingerprints unpredictable, so that nobody can aim them at one block.
CREATE TABLE index_salt (
    salt BLOB NOT NULL
) STRICT;
INSERT INTO index_salt VALUES (randomblob(16));
