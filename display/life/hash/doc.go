// Package hash is HashLife (Bill Gosper, 1984): unbounded universes at astronomic
// generations. The universe is a quadtree in which equal squares are one node, and
// each node remembers what its middle becomes; what repeats in space or time is
// worked out once. Regular patterns leap over millions of generations; soups do
// not, and are faster on a life.Plane.
//
// Nodes live in one arena of a set size, are found by a hash table, and are
// collected when the arena is full. Rules with B0 and bounded rules are refused by
// New, as by life.NewPlane.
package hash
