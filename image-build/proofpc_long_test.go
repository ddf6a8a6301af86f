//go:build long

package imagebuild

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

// noScreen saves the emulation of a framebuffer on which the wall is painted.
var noScreen = []string{"-vga", "none"}

// bootedPC is the PC image that SIERPI_PC_IMAGE names, booted, with a root shell on its line.
func bootedPC(t *testing.T) *proof {
	t.Helper()
	image := os.Getenv("SIERPI_PC_IMAGE")
	if image == "" {
		systemtest.Absent(t, "SIERPI_PC_IMAGE names no image of a PC")
	}
	systemtest.Tool(t, "qemu-system-x86_64", "qemu-system-x86")
	ctx := t.Context()
	p, err := newProof(ctx, ProofOptions{Image: image, Out: t.TempDir() + "/out", Patience: 6, Progress: os.Stdout}, 1024)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := filepath.Glob(p.o.Out + "/pc*.serial0.log")
			for _, name := range logs {
				log, _ := os.ReadFile(name)
				t.Logf("%s ends:\n%s", name, log[max(0, len(log)-6000):])
			}
		}
		p.cleanUp()
	})
	if err := errors.Join(p.patientBoot(ctx), p.startPC("pc", p.o.accel(), noScreen...), p.step(ctx, "the first user", 15*time.Minute, p.firstLogin), p.step(ctx, "our units", 5*time.Minute, p.units)); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOverlayOnPC holds the read-only root alone, without the rest of `make vm`.
func TestOverlayOnPC(t *testing.T) {
	if err := bootedPC(t).overlay(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestStickOnPC holds the backups to a USB stick alone.
func TestStickOnPC(t *testing.T) {
	if err := bootedPC(t).stick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestFaultsOnPC holds the full card and the clock at 1970 alone.
func TestFaultsOnPC(t *testing.T) {
	p, ctx := bootedPC(t), t.Context()
	if err := errors.Join(p.fullCard(ctx), p.step(ctx, "power off", 6*time.Minute, p.poweroff), p.clock(ctx, append(p.o.accel(), noScreen...))); err != nil {
		t.Fatal(err)
	}
}
