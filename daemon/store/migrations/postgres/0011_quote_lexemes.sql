-- Pairs of neighbours, and the ranges of numbers that a quote falls in, become lexemes of the
-- index: daemon/quotes writes them so, and says what for. It takes minutes with a million quotes.

-- +goose Up
DROP INDEX quote_tokens;
-- Changing the type writes the table anew; an UPDATE would leave it twice as long.
CREATE FUNCTION quote_lexemes(id bigint, tokens tsvector) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT AS $$
    WITH word AS MATERIALIZED (
        SELECT l.lexeme, p.position
        FROM unnest($2) AS l (lexeme, positions, weights), unnest(l.positions) AS p (position)
        WHERE l.lexeme NOT LIKE '#%')
    SELECT $2 || concat_ws(' ', '@10.' || ($1 >> 10), '@13.' || ($1 >> 13), '@17.' || ($1 >> 17),
        string_agg(DISTINCT '+' || encode(substr(sha256(convert_to(a.lexeme || ' ' || b.lexeme, 'UTF8')), 1, 2), 'hex'), ' '))::tsvector
    FROM word AS a JOIN word AS b ON b.position = a.position + 1
$$;
ALTER TABLE quote ALTER COLUMN tokens TYPE tsvector USING quote_lexemes(id, tokens);
DROP FUNCTION quote_lexemes;
CREATE INDEX quote_tokens ON quote USING gin (tokens);
ANALYZE quote;

-- +goose Down
UPDATE quote SET tokens = ts_filter(tokens, '{a,b,c,d}'); -- what has no position is taken out
