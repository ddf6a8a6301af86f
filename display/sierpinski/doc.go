// Package sierpinski draws the Sierpinski triangle in many ways: endless zoom,
// chaos game, rule 90, arrowhead curve, carpet, fern. Pure state machines.
package sierpinski
