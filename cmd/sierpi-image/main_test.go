package main

import (
	"path/filepath"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestCommandsThatAreShown: whoever types what the help and the documents have is understood.
func TestCommandsThatAreShown(t *testing.T) {
	systemtest.Commands(t, newRoot(), filepath.Join("..", ".."))
}
