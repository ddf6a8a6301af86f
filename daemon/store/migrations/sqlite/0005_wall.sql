-- +goose Up
-- The one universe of the wall, as it was some minutes ago; a row a machine.
CREATE TABLE wall_universe (
    wall  TEXT PRIMARY KEY, -- the machine's name
    about TEXT NOT NULL,    -- JSON of display.Universe
    cells BLOB NOT NULL     -- display.PackCells
) WITHOUT ROWID;

-- What was drawn into it since.
CREATE TABLE wall_edit (
    wall   TEXT NOT NULL,
    number INTEGER NOT NULL,
    edit   TEXT NOT NULL, -- JSON of display.Edit
    PRIMARY KEY (wall, number)
) WITHOUT ROWID;

-- The soups that lived longest; only the best are kept.
CREATE TABLE wall_soup (
    id          INTEGER PRIMARY KEY,
    seed        TEXT NOT NULL, -- 64 bits without a sign, in decimal
    density     REAL NOT NULL,
    width       INTEGER NOT NULL,
    height      INTEGER NOT NULL,
    generations INTEGER NOT NULL,
    population  INTEGER NOT NULL,
    picture     BLOB NOT NULL,    -- PNG
    added       INTEGER NOT NULL, -- ms since 1970; the clock may have been wrong: it is shown only
    UNIQUE (seed, density, width, height)
);

-- +goose Down
DROP TABLE wall_universe;
DROP TABLE wall_edit;
DROP TABLE wall_soup;
