-- +goose Up
-- When each collected page was asked last, so that a restart asks nobody anew.
CREATE TABLE quote_collector (
    url  TEXT PRIMARY KEY,
    poll TEXT NOT NULL -- JSON of fetch.Poll
) WITHOUT ROWID;

-- +goose Down
DROP TABLE quote_collector;
