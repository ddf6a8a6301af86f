package zram

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// udev opens each device when it appears and when it changes, takes its shared
// lock and looks what is on it. This does the same, as often as it can: apply and
// off must wait it out.
func TestRealOpenedByOthersAllTheTime(t *testing.T) {
	m := real(t)
	before := deviceNames(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int)
	go func() {
		opened := 0
		for ctx.Err() == nil {
			for _, path := range m.Root.Glob("/sys/block/zram*") {
				name := path[len("/sys/block/"):]
				if slices.Contains(before, name) {
					continue
				}
				f, err := os.Open("/dev/" + name)
				if err != nil {
					continue // on its way
				}
				opened++
				_ = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
				_, _ = f.Read(make([]byte, 4096))
				select { // it looks for a while
				case <-time.After(3 * time.Millisecond):
				case <-ctx.Done():
				}
				f.Close()
			}
			select { // and comes again with the next event
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
		}
		done <- opened
	}()
	cfg := small()
	for _, size := range []string{"16MiB", "20MiB", "24MiB"} {
		cfg.Size = size
		apply(t, m, cfg)
	}
	if got := ours(t, m); len(got) != 1 || got[0].Size != 24<<20 {
		t.Errorf("%+v", got)
	}
	if _, err := m.Off(context.Background()); err != nil {
		t.Error(err)
	}
	cancel()
	if opened := <-done; opened < 3 {
		t.Errorf("only %d times was a device opened: this tried nothing", opened)
	}
}
