// Package snake is the game of Snake as a pure state machine.
package snake
