// Package quotes is the quotes database: import, search, random and latest.
//
// A text enters once. Two texts are the same quote when their letters and digits
// are (case, accents, punctuation and spaces do not count); what differs, another
// wording or attribution, is kept with the quote as provenance.
//
// Search works on folded words, split here and not by the database, so that
// SQLite and PostgreSQL find the same quotes. Results come in classes: the words
// as one phrase; all words; the last word as a beginning; words that contain what
// was typed; words one slip away from it. Within a class short quotes stand
// first, then newer ones. A class ranks at most the 500 newest candidates; beyond
// them the answer says "more than".
//
// Random follows a keyed permutation of the ids, so its cost does not depend on
// how many quotes there are, and a visitor's walk through all of them without a
// repeat needs nothing but a position in a cookie.
//
// Limits: a text has at most 20,000 bytes, an author or source 300 bytes, a
// quote 20 tags, a query 8 words.
package quotes
