package systemtest

import "testing"

// Hurried tells a test that is arithmetic in one goroutine to run a shorter film: the
// race detector makes it ten times as slow and can find nothing in it, and so does
// qemu-user (-short). `make test` runs the whole films once more, as they are.
func Hurried() bool { return UnderRace || testing.Short() }
