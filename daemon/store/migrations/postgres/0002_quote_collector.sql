-- +goose Up
-- When each collected page was asked last, so that a restart asks nobody anew.
CREATE TABLE quote_collector (
    url  text PRIMARY KEY,
    poll text NOT NULL -- JSON of fetch.Poll
);

-- +goose Down
DROP TABLE quote_collector;
