// Package feed gathers release feeds (RSS, Atom, JSON Feed), keeps the last good
// copy of each and shows them as a page and as feeds of its own.
package feed
