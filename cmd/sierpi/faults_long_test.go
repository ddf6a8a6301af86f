//go:build long

package main

import (
	"testing"
	"time"
)

// TestFaultKilledLong is TestFaultKilled for ten minutes:
//
//	go test -v -count=1 -tags long -timeout 20m ./cmd/sierpi -run TestFaultKilledLong
func TestFaultKilledLong(t *testing.T) { killUnderLoad(t, 10*time.Minute) }
