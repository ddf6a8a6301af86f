-- +goose Up
CREATE TABLE quote (
    id     INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: it is in permalinks
    key    BLOB    NOT NULL UNIQUE,           -- 16 bytes, hash of the text's letters and digits
    hidden INTEGER NOT NULL DEFAULT 0,
    words  INTEGER NOT NULL,
    added  INTEGER NOT NULL,                  -- ms since 1970; the clock may have been wrong: order is by id
    author TEXT    NOT NULL,
    source TEXT    NOT NULL,
    origin TEXT    NOT NULL,                  -- the import or collector it came by
    text   TEXT    NOT NULL
);

-- What was merged into a quote: other wordings, attributions and origins.
CREATE TABLE quote_also (
    quote  INTEGER NOT NULL REFERENCES quote (id) ON DELETE CASCADE,
    hash   BLOB    NOT NULL,                  -- 16 bytes, of the four fields below
    author TEXT    NOT NULL,
    source TEXT    NOT NULL,
    origin TEXT    NOT NULL,
    text   TEXT    NOT NULL,                  -- '' where it is the quote's own
    added  INTEGER NOT NULL,
    PRIMARY KEY (quote, hash)
) WITHOUT ROWID;

CREATE TABLE quote_tag (
    tag   TEXT    NOT NULL,
    quote INTEGER NOT NULL REFERENCES quote (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, quote)
) WITHOUT ROWID;
CREATE INDEX quote_tag_quote ON quote_tag (quote);

-- Tokens are folded and split in Go, so that both engines see the same ones;
-- the ascii tokenizer splits at the spaces between them and nowhere else.
CREATE VIRTUAL TABLE quote_fts USING fts5 (
    text, author, source, facet, content='', contentless_delete=1, prefix='2 3 4', tokenize='ascii'
);

-- Every word of the visible quotes, with the number of quotes that have it.
CREATE TABLE quote_word (
    id   INTEGER PRIMARY KEY,
    word TEXT    NOT NULL UNIQUE,
    n    INTEGER NOT NULL
);

-- For each word, its trigrams (3abc) and what is left when a letter is dropped (1ab).
CREATE VIRTUAL TABLE quote_word_fts USING fts5 (
    keys, content='', columnsize=0, detail=none, tokenize='ascii'
);

-- Authors, sources and tags of the visible quotes, with the number of quotes.
CREATE TABLE quote_facet (
    kind TEXT    NOT NULL, -- 'a', 's', 't'
    key  TEXT    NOT NULL, -- folded
    name TEXT    NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX quote_facet_n ON quote_facet (kind, n);

-- One row: how often anything changed (for ETags), and the number of visible quotes.
CREATE TABLE quote_state (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    visible  INTEGER NOT NULL
);
INSERT INTO quote_state VALUES (1, 0, 0);

-- +goose Down
DROP TABLE quote_state;
DROP TABLE quote_facet;
DROP TABLE quote_word_fts;
DROP TABLE quote_word;
DROP TABLE quote_fts;
DROP TABLE quote_tag;
DROP TABLE quote_also;
DROP TABLE quote;
