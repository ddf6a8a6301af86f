// Package hash is HashLife: unbounded universes at astronomic generations.
package hash
