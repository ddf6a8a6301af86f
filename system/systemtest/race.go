//go:build race

package systemtest

// UnderRace: the tests run with the race detector.
const UnderRace = true
