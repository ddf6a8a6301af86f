// Package snake is the game of Snake as a pure state machine: no I/O, no clock,
// the same game from the same seed and turns.
//
// A [Game] is made by [New], steered by Turn and advanced by Step; ten steps a
// second are a lively pace. When the snake dies its body stays where it was, so
// that Body can be dissolved into something else. A game holds about twelve bytes
// a cell and allocates nothing once made; it is not safe for concurrent use.
package snake
