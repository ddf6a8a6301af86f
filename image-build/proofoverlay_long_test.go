//go:build long

package imagebuild

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestOverlayOnPC boots the PC image that SIERPI_PC_IMAGE names and holds the read-only
// root alone, without the rest of `make vm`.
func TestOverlayOnPC(t *testing.T) {
	image := os.Getenv("SIERPI_PC_IMAGE")
	if image == "" {
		systemtest.Absent(t, "SIERPI_PC_IMAGE names no image of a PC")
	}
	ctx := t.Context()
	p, err := newProof(ctx, ProofOptions{Image: image, Out: t.TempDir() + "/out", Patience: 6, Progress: os.Stdout}, 1024)
	if err != nil {
		t.Fatal(err)
	}
	defer p.cleanUp()
	p.v, err = startVirtual(virtualOptions{program: systemtest.Tool(t, "qemu-system-x86_64", "qemu-system-x86"), dir: p.o.Out, name: "pc", args: append(p.o.accel(),
		"-M", "pc", "-m", fmt.Sprint(p.ram), "-smp", fmt.Sprint(min(2, runtime.NumCPU())),
		"-drive", "file="+p.disk+",format=raw,if=ide,cache=unsafe",
		"-nic", fmt.Sprintf("user,model=e1000,hostfwd=tcp:127.0.0.1:%d-:80,hostfwd=tcp:127.0.0.1:%d-:9101", p.pages, p.scrape))})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.step(ctx, "the first user", 15*time.Minute, p.firstLogin), p.step(ctx, "our units", 5*time.Minute, p.units)); err != nil {
		t.Fatal(err)
	}
	if err := p.overlay(ctx); err != nil {
		log, _ := os.ReadFile(p.o.Out + "/pc.serial0.log")
		t.Logf("%s", log[max(0, len(log)-6000):])
		t.Fatal(err)
	}
}
