// Package board says which Raspberry Pi this is, from its revision code and
// device tree, and what such a board has.
package board
