-- +goose Up
-- Whom the owner does not let speak.
CREATE TABLE chat_silence (
    author  text    NOT NULL PRIMARY KEY,  -- hash of the author's cookie
    name    text    NOT NULL,              -- under which he wrote, for the owner to know him by
    address text    NOT NULL,              -- network that he wrote from last; '' where it is not known
    since   integer NOT NULL               -- ms since 1970, by this machine's clock; for show only
);

-- +goose Down
DROP TABLE chat_silence;
