package main

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestJournalLines(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "8:12345")
	var out bytes.Buffer
	log := newLogger(&out, slog.LevelInfo).With("task", "feed")
	log.Error("it broke", "why", "two\nlines")
	log.Debug("unheard")
	log.Warn("careful")
	want := "<3>msg=\"it broke\" task=feed why=\"two\\nlines\"\n<4>msg=careful task=feed\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}
