-- The rules of this schema: what every PostgreSQL-speaking engine has; no
-- sequence and no row that every instance writes; and where a key grows with
-- time, the node is before it, so that each instance has an end of its own to
-- write at. A node is a part of the task id: see src/task/id.rs.

-- A task; its id tells when it was created.
CREATE TABLE task (
    node        integer  NOT NULL,
    id          bigint   NOT NULL,
    tenant_id   text     NOT NULL,
    user_id     text     NOT NULL,
    task_type   smallint NOT NULL,
    status      smallint NOT NULL,
    locale      text     NOT NULL,
    -- The parameters as a JSON object, as the list call shows them.
    init_params text     NOT NULL,
    -- Of a transfer, also there.
    src_user_id text,
    result_code text,
    -- Milliseconds since the Unix epoch.
    started_at  bigint,
    ended_at    bigint,
    PRIMARY KEY (node, id)
);

-- Lists: any choice of types and statuses is a merge of these, in id order.
CREATE INDEX task_by_state ON task (tenant_id, task_type, status, id);

-- A source user's newest transfer.
CREATE INDEX transfer_by_source ON task (tenant_id, src_user_id, id)
    WHERE src_user_id IS NOT NULL;

-- A user's newest batch import. Transfers, the many, are not in it.
CREATE INDEX import_by_user ON task (tenant_id, user_id, id) WHERE task_type = 1;

-- What a batch import has done so far.
CREATE TABLE import_result (
    task_id       bigint PRIMARY KEY,
    success_count bigint NOT NULL,
    fail_count    bigint NOT NULL,
    -- A JSON array of {"userName", "desc"}.
    failures      text   NOT NULL
);

-- The idempotency of the tasks of the last 24 hours.
CREATE TABLE idempotency (
    key_digest  bytea   PRIMARY KEY,
    body_digest bytea   NOT NULL,
    node        integer NOT NULL,
    task_id     bigint  NOT NULL
);

-- To forget keys by, oldest first.
CREATE INDEX idempotency_by_task ON idempotency (node, task_id);

-- Which instance makes ids for a node: see src/store/postgres/node/.
CREATE TABLE node_lease (
    node       integer     PRIMARY KEY CHECK (node BETWEEN 0 AND 65535),
    -- One holding of the node; another with each change of hands.
    holder     uuid        NOT NULL,
    -- By the database's clock. From then on another may take the node.
    expires_at timestamptz NOT NULL,
    -- The holder makes only ids from ids_from on and below ids_below, and the
    -- next holder only from ids_below on: no clock or pause makes an id twice.
    ids_from   bigint      NOT NULL,
    ids_below  bigint      NOT NULL
);
