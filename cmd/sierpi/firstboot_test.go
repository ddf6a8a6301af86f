package main

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system/systemtest"
)

// A password that is typed as soon as its prompt is there was seen on a slow machine's
// line: the echo went off after the prompt, and came back between the two.
func TestEchoIsOffBeforeThePrompt(t *testing.T) {
	_, line := systemtest.Terminal(t)
	echo := func() bool {
		t.Helper()
		now, err := unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return now.Lflag&unix.ECHO != 0
	}
	if !echo() {
		t.Fatal("a new terminal has no echo: nothing is tried below")
	}
	restore, err := echoOff(int(line.Fd()))
	if err != nil || echo() {
		t.Errorf("the echo is on: %v", err)
	}
	restore()
	if !echo() {
		t.Error("the echo stays off")
	}
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if restore, err := echoOff(int(file.Fd())); err != nil {
		t.Errorf("what is no terminal: %v", err)
	} else {
		restore()
	}
}
