// Package board says which Raspberry Pi this is, from its revision code and
// device tree, and what such a board has.
//
// It reads /proc/device-tree and /proc/cpuinfo and touches no hardware. What is
// not a Raspberry Pi is not an error: Read returns a Board whose Pi is false and
// which still carries the machine's name, memory and processors.
package board
