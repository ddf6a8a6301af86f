//go:build race

package feed

// underRace: the race detector makes the hostile documents take minutes.
const underRace = true
