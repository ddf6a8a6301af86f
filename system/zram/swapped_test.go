package zram

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/systemtest"
)

// Pages that are really swapped out survive a reconciliation: they come back
// from the old device and may go to the new one, and none changes.
func TestRealReconcileWithPagesSwappedOut(t *testing.T) {
	m := real(t)
	cfg := small()
	cfg.Size = "32MiB"
	apply(t, m, cfg)
	first := ours(t, m)[0]

	const size = 12 << 20
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	page := os.Getpagesize()
	text := []byte(strings.Repeat("swap in RAM ", page))
	fill := func(b []byte, n int) {
		copy(b, text[n%12:])
		binary.LittleEndian.PutUint64(b, uint64(n)) // no two pages are the same
	}
	for n := range size / page {
		fill(memory[n*page:(n+1)*page], n)
	}
	// Reclaim exactly these pages, so that the test needs no memory pressure.
	if err := unix.Madvise(memory, unix.MADV_PAGEOUT); err != nil {
		if errors.Is(err, unix.EINVAL) {
			systemtest.Absent(t, "MADV_PAGEOUT needs Linux 5.4")
		}
		t.Fatal(err)
	}
	out := ours(t, m)[0]
	if out.Swap.Used < size/2 || out.Memory.Original < size/2 {
		t.Fatalf("only %s went out: %+v", formatBytes(out.Swap.Used), *out.Memory)
	}
	if out.Memory.Compressed > out.Memory.Original/4 {
		t.Errorf("text was not compressed: %+v", *out.Memory)
	}
	t.Logf("%s swapped out into %s of RAM", formatBytes(out.Swap.Used), formatBytes(out.Memory.Used))

	cfg.Size, cfg.Algorithm = "24MiB", []string{"lzo"}
	p := apply(t, m, cfg)
	now := ours(t, m)
	if len(now) != 1 || now[0].Name == first.Name || now[0].Size != 24<<20 || now[0].Algorithm != "lzo" {
		t.Fatalf("%+v\n%s", now, p)
	}
	if err := unix.Madvise(memory, unix.MADV_PAGEOUT); err != nil {
		t.Fatal(err)
	}
	if again := ours(t, m)[0]; again.Swap.Used < size/2 {
		t.Errorf("only %s went into the new device", formatBytes(again.Swap.Used))
	}
	// Cancelled while swapped off or before: it stays in use or is gone, never lost.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Off(ctx); err == nil {
		t.Error("an ended context took the swap away")
	}
	if _, err := m.Off(context.Background()); err != nil {
		t.Fatalf("off with pages out: %v (exit %d)", err, system.ExitCodeOf(err))
	}
	want := make([]byte, page)
	for n := range size / page {
		fill(want, n)
		if !bytes.Equal(memory[n*page:(n+1)*page], want) {
			t.Fatalf("page %d came back changed", n)
		}
	}
}
