-- Up to which id every task's entry is in a live run, by index. Less than
-- index_run.last_task_id where ids were made while the clock was ahead.
CREATE TABLE index_state (
    -- As in index_run.
    kind       INTEGER PRIMARY KEY,
    indexed_to INTEGER NOT NULL
) STRICT;
INSERT INTO index_state
SELECT kind, (SELECT coalesce(max(last_task_id), 0) FROM index_run
              WHERE index_run.kind = kinds.kind AND state = 1)
FROM (SELECT 0 AS kind UNION ALL SELECT 1) AS kinds;

-- How far the wall clock was ahead of the time that the service lived through,
-- in milliseconds. See src/task/key_expiry.rs.
CREATE TABLE clock_offset (
    until  INTEGER NOT NULL,
    millis INTEGER NOT NULL
) STRICT;
