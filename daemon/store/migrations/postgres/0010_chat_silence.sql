-- +goose Up
-- Whom the owner does not let speak.
CREATE TABLE chat_silence (
    author  text   PRIMARY KEY,  -- hash of the author's cookie
    name    text   NOT NULL,     -- under which he wrote, for the owner to know him by
    address text   NOT NULL,     -- network that he wrote from last; '' where it is not known
    since   bigint NOT NULL      -- ms since 1970, by this machine's clock; for show only
);

-- Who is in a room, as each daemon tells the others. Lost in a crash, and told anew.
CREATE UNLOGGED TABLE chat_presence (
    daemon text        NOT NULL,
    room   text        NOT NULL,
    name   text        NOT NULL,
    seen   timestamptz NOT NULL,  -- by the server's clock, which all daemons share
    PRIMARY KEY (daemon, room, name)
);

-- +goose Down
DROP TABLE chat_presence;
DROP TABLE chat_silence;
