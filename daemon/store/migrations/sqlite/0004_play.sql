-- +goose Up
-- The high scores of snake; only the best are kept.
CREATE TABLE snake_score (
    id     INTEGER PRIMARY KEY, -- of two equal scores the first is the better
    name   TEXT NOT NULL,
    points INTEGER NOT NULL,
    added  INTEGER NOT NULL -- ms since 1970; the clock may have been wrong: it is shown only
);

-- What the owner set the wall's scenes to.
CREATE TABLE scene_setting (
    scene    TEXT PRIMARY KEY,
    settings TEXT NOT NULL -- JSON of sierpinski.Settings
) WITHOUT ROWID;

-- +goose Down
DROP TABLE snake_score;
DROP TABLE scene_setting;
