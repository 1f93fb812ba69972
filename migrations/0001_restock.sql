-- Restock's own schema. Portable between MySQL >= 8.0.13 and MariaDB >= 10.6; times are UTC, also where a program whose
-- session has another time zone inserts. (What ON UPDATE sets is of our own sessions, which are in UTC.)
-- Every statement can be run again: DDL is not transactional, and a `migrate` that was killed starts over.

CREATE TABLE IF NOT EXISTS setting (
    name     VARCHAR(64)  CHARACTER SET ascii NOT NULL PRIMARY KEY,
    value    VARCHAR(255) NOT NULL,
    -- Rises with each change, also after a restore: of two values the one with the higher revision stands.
    revision BIGINT UNSIGNED NOT NULL DEFAULT 0
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS product (
    id            BIGINT NOT NULL PRIMARY KEY,
    sku           VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    name          VARCHAR(255) NOT NULL,
    stock         BIGINT NOT NULL DEFAULT 0,
    restock_round INT UNSIGNED NOT NULL DEFAULT 0,
    is_paused     TINYINT(1) NOT NULL DEFAULT 0,
    epoch         BIGINT UNSIGNED NOT NULL DEFAULT 0,
    version       BIGINT UNSIGNED NOT NULL DEFAULT 0,
    -- The greatest epoch given out to install this product in Redis. `epoch` is the one under which the state of this
    -- row was written: whoever reserved an epoch and died must not make what Redis goes on logging look old.
    reserved_epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,
    created_at    DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    updated_at    DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)) ON UPDATE CURRENT_TIMESTAMP(6),
    UNIQUE KEY product_sku (sku)
) DEFAULT CHARACTER SET utf8mb4;

-- The lock of a product's line, and the newest place in it.
CREATE TABLE IF NOT EXISTS product_line (
    product_id BIGINT NOT NULL PRIMARY KEY,
    newest     DATETIME(6) NULL
) DEFAULT CHARACTER SET utf8mb4;

-- Clustered by place in line, so that a page at any depth is one range read.
CREATE TABLE IF NOT EXISTS product_user_notification (
    product_id BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    user_id    BIGINT NOT NULL,
    is_active  TINYINT(1) NOT NULL DEFAULT 1,
    -- When the row was made: an import gives people older places, and a round that had passed them owes them nothing.
    added_at   DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    PRIMARY KEY (product_id, created_at),
    UNIQUE KEY product_user (product_id, user_id)
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS product_notification_history (
    product_id      BIGINT NOT NULL,
    restock_round   INT UNSIGNED NOT NULL,
    channel         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status          VARCHAR(24) CHARACTER SET ascii NOT NULL,
    from_place      DATETIME(6) NULL,
    cursor_place    DATETIME(6) NULL,
    upto_place      DATETIME(6) NULL,
    ahead           MEDIUMTEXT CHARACTER SET ascii NOT NULL,
    last_user_id    BIGINT NULL,
    blocked_user_id BIGINT NULL,
    total           BIGINT UNSIGNED NULL,
    sent_count      BIGINT UNSIGNED NOT NULL DEFAULT 0,
    skipped_count   BIGINT UNSIGNED NOT NULL DEFAULT 0,
    failed_count    BIGINT UNSIGNED NOT NULL DEFAULT 0,
    unknown_count   BIGINT UNSIGNED NOT NULL DEFAULT 0,
    epoch           BIGINT UNSIGNED NOT NULL,
    version         BIGINT UNSIGNED NOT NULL,
    queued_at       DATETIME(6) NULL,
    started_at      DATETIME(6) NULL,
    ended_at        DATETIME(6) NULL,
    -- While those who FAILED are told again: the status that the round had before.
    retry_of        VARCHAR(24) CHARACTER SET ascii NULL,
    reason          VARCHAR(255) NULL,
    PRIMARY KEY (product_id, restock_round, channel),
    -- Those that have not ended, by product; those that ended so last, such as by an error. One index for both, because
    -- each costs as much as the rest of the row when it is written.
    KEY standing (status, ended_at, product_id)
) DEFAULT CHARACTER SET utf8mb4;

-- One row per person and round, inserted in the order of the key.
CREATE TABLE IF NOT EXISTS product_user_notification_history (
    product_id    BIGINT NOT NULL,
    restock_round INT UNSIGNED NOT NULL,
    channel       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    place         DATETIME(6) NOT NULL,
    user_id       BIGINT NOT NULL,
    outcome       ENUM('SENT', 'SKIPPED', 'FAILED', 'UNKNOWN') CHARACTER SET ascii NOT NULL,
    sent_at       DATETIME(6) NOT NULL,
    -- Attempts made for them, since the round was last resumed.
    tries         SMALLINT UNSIGNED NOT NULL DEFAULT 1,
    PRIMARY KEY (product_id, restock_round, channel, place)
) DEFAULT CHARACTER SET utf8mb4;

-- The outbox: other programs INSERT (product_id, quantity, idempotency_key) here.
CREATE TABLE IF NOT EXISTS restock_request (
    id              BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    product_id      BIGINT NOT NULL,
    quantity        INT NOT NULL DEFAULT 0,
    idempotency_key VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    created_at      DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    state           ENUM('PENDING', 'ACCEPTED', 'REFUSED') CHARACTER SET ascii NOT NULL DEFAULT 'PENDING',
    restock_round   INT UNSIGNED NULL,
    reason          VARCHAR(255) NULL,
    -- Who follows it, as W3C Trace Context writes it; what cannot be read as that is none.
    traceparent     VARCHAR(55) CHARACTER SET ascii NULL,
    UNIQUE KEY product_key (product_id, idempotency_key),
    KEY state (state, id)
) DEFAULT CHARACTER SET utf8mb4;

-- Where the flusher of a partition stands in which incarnation of the log.
CREATE TABLE IF NOT EXISTS flush_position (
    partition_id       SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
    incarnation        CHAR(32) CHARACTER SET ascii NOT NULL DEFAULT '',
    last_entry         VARCHAR(48) CHARACTER SET ascii NOT NULL DEFAULT '0-0',
    held_upto_request  BIGINT NOT NULL DEFAULT 0,
    updated_at         DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)) ON UPDATE CURRENT_TIMESTAMP(6)
) DEFAULT CHARACTER SET utf8mb4;

-- Rows that MySQL refused, set aside so that the others flow: the mark on their lane until they are mended.
CREATE TABLE IF NOT EXISTS log_dead (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    partition_id  SMALLINT UNSIGNED NOT NULL,
    kind          VARCHAR(16) CHARACTER SET ascii NOT NULL,
    -- Which row: one that is refused again stands here once, as it was the last time.
    name          VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    entry         VARCHAR(48) CHARACTER SET ascii NOT NULL,
    product_id    BIGINT NULL,
    -- NULL where all lanes of the product, or all rounds of the lane, are concerned.
    channel       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    restock_round INT UNSIGNED NULL,
    epoch         BIGINT UNSIGNED NULL,
    version       BIGINT UNSIGNED NULL,
    detail        TEXT NOT NULL,
    `sqlstate`    CHAR(5) CHARACTER SET ascii NOT NULL,
    message       VARCHAR(255) NOT NULL,
    times         INT UNSIGNED NOT NULL DEFAULT 1,
    created_at    DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    -- When MySQL took a newer state of the same row; or set by whoever has dealt with it.
    mended_at     DATETIME(6) NULL,
    UNIQUE KEY row_name (partition_id, kind, name),
    KEY product (product_id),
    -- Those that nobody has dealt with: few.
    KEY mended (mended_at)
) DEFAULT CHARACTER SET utf8mb4;

-- What people did by hand: who, when, to what, and what came of it.
CREATE TABLE IF NOT EXISTS operator_action (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at            DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    operator      VARCHAR(64) NOT NULL,
    action        VARCHAR(32) CHARACTER SET ascii NOT NULL,
    product_id    BIGINT NULL,
    channel       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    restock_round INT UNSIGNED NULL,
    -- NULL until it is done: who died in between left it open.
    result        VARCHAR(255) NULL,
    KEY product (product_id, id)
) DEFAULT CHARACTER SET utf8mb4;

-- The newest message of the inbox. Whoever writes messages holds this row until the commit: see `inbox_message.id`.
CREATE TABLE IF NOT EXISTS inbox_sequence (
    id      TINYINT UNSIGNED NOT NULL PRIMARY KEY,
    last_id BIGINT NOT NULL
) DEFAULT CHARACTER SET utf8mb4;

INSERT INTO inbox_sequence (id, last_id) VALUES (1, 0) ON DUPLICATE KEY UPDATE last_id = inbox_sequence.last_id;

-- What the channel `inbox` told people.
CREATE TABLE IF NOT EXISTS inbox_message (
    -- max(now in µs, the newest + 1), taken under the lock of `inbox_sequence`: messages become visible in the order of
    -- their numbers, and whoever has seen one can read all before it. Not AUTO_INCREMENT: of that a smaller number may be
    -- committed later, when a stream has gone past it. And a database that was set back does not give a number out twice.
    id            BIGINT NOT NULL PRIMARY KEY,
    product_id    BIGINT NOT NULL,
    restock_round INT UNSIGNED NOT NULL,
    user_id       BIGINT NOT NULL,
    -- As they were when the message was written.
    sku           VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    name          VARCHAR(255) NOT NULL,
    -- When the attempt started that wrote it.
    started_at    DATETIME(6) NOT NULL,
    read_at       DATETIME(6) NULL,
    -- The key of a delivery, `<product>-<round>-inbox-<user>`: of all attempts for a person in a round one row is left.
    UNIQUE KEY delivery (product_id, restock_round, user_id),
    KEY person (user_id, id, read_at)
) DEFAULT CHARACTER SET utf8mb4;
