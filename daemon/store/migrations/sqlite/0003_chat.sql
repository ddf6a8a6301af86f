-- +goose Up
CREATE TABLE chat_room (
    name  TEXT    PRIMARY KEY,
    epoch TEXT    NOT NULL,           -- random; a room made anew under its old name has another
    last  INTEGER NOT NULL,           -- the highest version given
    floor INTEGER NOT NULL,           -- the highest version of what retention has removed
    wall  INTEGER NOT NULL DEFAULT 0  -- shown on the wall
) WITHOUT ROWID;

-- A message as it is now. Each change gives it the room's next version, so
-- "what is new since version n" is one range, edits and deletions included.
CREATE TABLE chat_message (
    room    TEXT    NOT NULL REFERENCES chat_room (name) ON DELETE CASCADE,
    id      INTEGER NOT NULL,         -- the version at which it was posted
    version INTEGER NOT NULL,
    key     TEXT    NOT NULL,         -- the client's, makes posting idempotent
    author  TEXT    NOT NULL,         -- hash of the author's cookie
    name    TEXT    NOT NULL,
    text    TEXT    NOT NULL,         -- '' when deleted
    sent    INTEGER NOT NULL,         -- ms since 1970, by this machine's clock; order is by id
    state   INTEGER NOT NULL,         -- 0 as posted, 1 edited, 2 deleted
    PRIMARY KEY (room, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX chat_message_version ON chat_message (room, version);
CREATE UNIQUE INDEX chat_message_key ON chat_message (room, author, key);

-- +goose Down
DROP TABLE chat_message;
DROP TABLE chat_room;
