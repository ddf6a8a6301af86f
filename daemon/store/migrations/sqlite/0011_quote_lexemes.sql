-- PostgreSQL's index gets lexemes that FTS5 does without: it knows positions and an order.
-- The engines count their versions alike.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
