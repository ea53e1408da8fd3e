-- «KooT»: whose database this is.
PRAGMA application_id = 1265594196;

-- Whether what the -wal file holds must be there. See src/store/sqlite/log.rs.
CREATE TABLE log_state (
    -- 1: the database file alone lacks what was committed.
    is_needed INTEGER NOT NULL
) STRICT;
INSERT INTO log_state VALUES (0);
