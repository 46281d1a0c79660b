-- Times are milliseconds since 1970-01-01 UTC. A mailbox is named by its account: user@domain.
-- Nothing here that PostgreSQL would not take as well.

CREATE TABLE account (
    username         TEXT NOT NULL,
    domain           TEXT NOT NULL,
    ha1_md5          TEXT,
    ha1_sha256       TEXT,
    email            TEXT,
    display_name     TEXT,
    has_mailbox      BOOLEAN NOT NULL,
    greeting         TEXT,
    pin_hash         TEXT,
    pin_failures     BIGINT NOT NULL DEFAULT 0,
    pin_locks        BIGINT NOT NULL DEFAULT 0,
    pin_locked_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (username, domain)
);

CREATE TABLE pin_audit (
    id      TEXT PRIMARY KEY,
    mailbox TEXT NOT NULL,
    at      BIGINT NOT NULL,
    event   TEXT NOT NULL
);
CREATE INDEX pin_audit_at ON pin_audit (at);

CREATE TABLE binding (
    username   TEXT NOT NULL,
    domain     TEXT NOT NULL,
    contact    TEXT NOT NULL,
    received   TEXT NOT NULL,
    path       TEXT NOT NULL,
    call_id    TEXT NOT NULL,
    cseq       BIGINT NOT NULL,
    user_agent TEXT NOT NULL,
    q          DOUBLE PRECISION NOT NULL,
    expires    BIGINT NOT NULL,
    PRIMARY KEY (username, domain, contact)
);
CREATE INDEX binding_expires ON binding (expires);

CREATE TABLE message (
    id          TEXT PRIMARY KEY,
    mailbox     TEXT NOT NULL,
    caller      TEXT NOT NULL,
    caller_name TEXT,
    received    BIGINT NOT NULL,
    duration    BIGINT NOT NULL,
    mode        TEXT NOT NULL,
    hidden      BOOLEAN NOT NULL,
    heard_at    BIGINT,
    deleted_at  BIGINT
);
CREATE INDEX message_mailbox ON message (mailbox, deleted_at);
CREATE INDEX message_deleted ON message (deleted_at);

CREATE TABLE mail_job (
    id                TEXT PRIMARY KEY,
    message_id        TEXT NOT NULL REFERENCES message (id),
    recipient         TEXT NOT NULL,
    state             TEXT NOT NULL,
    attempts          BIGINT NOT NULL,
    created           BIGINT NOT NULL,
    next_attempt      BIGINT NOT NULL,
    last_answer       TEXT,
    message_id_header TEXT NOT NULL
);
CREATE INDEX mail_job_due ON mail_job (state, next_attempt);
CREATE INDEX mail_job_message ON mail_job (message_id);

CREATE TABLE mail_attempt (
    job_id   TEXT NOT NULL REFERENCES mail_job (id),
    number   BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    accepted BOOLEAN NOT NULL,
    answer   TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
);

CREATE TABLE missed_call (
    id          TEXT PRIMARY KEY,
    mailbox     TEXT NOT NULL,
    caller      TEXT NOT NULL,
    caller_name TEXT,
    received    BIGINT NOT NULL
);
CREATE INDEX missed_call_mailbox ON missed_call (mailbox, received);

CREATE TABLE cdr (
    id          TEXT PRIMARY KEY,
    sip_call_id TEXT NOT NULL,
    from_uri    TEXT NOT NULL,
    to_uri      TEXT NOT NULL,
    application TEXT,
    source      TEXT NOT NULL,
    started     BIGINT NOT NULL,
    answered    BIGINT,
    ended       BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    ended_by    TEXT NOT NULL,
    codec       TEXT
);
CREATE INDEX cdr_ended ON cdr (ended);
