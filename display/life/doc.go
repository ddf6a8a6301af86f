// Package life is the Game of Life engine: a bounded torus and an unbounded plane
// under any B/S rule, patterns and their file formats. Pure: no I/O, no clock.
package life
