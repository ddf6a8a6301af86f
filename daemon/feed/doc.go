// Package feed gathers release feeds (RSS, Atom, JSON Feed), keeps the last good
// copy of each and shows them as a page and as feeds of its own.
//
// A scheduler owns the refreshing: a request is answered from what is at hand,
// and waits only while nothing has ever been fetched. Publishers are polled
// politely (package fetch) and never trusted: a document is at most 4 MiB
// decompressed, of which 500 items with texts of bounded length are kept; markup is
// turned into plain text; no parser here recurses or expands entities.
package feed
