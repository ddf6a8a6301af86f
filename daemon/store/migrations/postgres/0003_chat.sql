-- +goose Up
CREATE TABLE chat_room (
    name  text    PRIMARY KEY,
    epoch text    NOT NULL,           -- random; a room made anew under its old name has another
    last  bigint  NOT NULL,           -- the highest version given
    floor bigint  NOT NULL,           -- the highest version of what retention has removed
    wall  bigint  NOT NULL DEFAULT 0  -- shown on the wall
);

-- A message as it is now. Each change gives it the room's next version, so
-- "what is new since version n" is one range, edits and deletions included.
CREATE TABLE chat_message (
    room    text    NOT NULL REFERENCES chat_room (name) ON DELETE CASCADE,
    id      bigint  NOT NULL,         -- the version at which it was posted
    version bigint  NOT NULL,
    key     text    NOT NULL,         -- the client's, makes posting idempotent
    author  text    NOT NULL,         -- hash of the author's cookie
    name    text    NOT NULL,
    text    text    NOT NULL,         -- '' when deleted
    sent    bigint  NOT NULL,         -- ms since 1970, by this machine's clock; order is by id
    state   bigint  NOT NULL,         -- 0 as posted, 1 edited, 2 deleted
    PRIMARY KEY (room, id)
);
CREATE UNIQUE INDEX chat_message_version ON chat_message (room, version);
CREATE UNIQUE INDEX chat_message_key ON chat_message (room, author, key);

-- +goose Down
DROP TABLE chat_message;
DROP TABLE chat_room;
