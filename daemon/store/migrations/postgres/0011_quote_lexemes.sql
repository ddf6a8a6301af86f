-- Pairs of neighbours, and the range of numbers that a quote falls in, become lexemes of the
-- index: daemon/quotes writes them so, and says what for. It takes minutes with a million quotes.

-- +goose Up
DROP INDEX quote_tokens;
UPDATE quote SET tokens = tokens || concat_ws(' ',
    '@13.' || (id >> 13), '@17.' || (id >> 17),
    (WITH word AS (
        SELECT lexeme, position
        FROM unnest(tokens) AS l (lexeme, positions, weights), unnest(positions) AS p (position)
        WHERE lexeme NOT LIKE '#%')
    SELECT string_agg(DISTINCT '+' || encode(substr(sha256(convert_to(a.lexeme || ' ' || b.lexeme, 'UTF8')), 1, 2), 'hex'), ' ')
    FROM word AS a JOIN word AS b ON b.position = a.position + 1))::tsvector
WHERE tokens IS NOT NULL;
CREATE INDEX quote_tokens ON quote USING gin (tokens);
ANALYZE quote;

-- +goose Down
UPDATE quote SET tokens = ts_filter(tokens, '{a,b,c,d}'); -- what has no position is taken out
