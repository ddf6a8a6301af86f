package zram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system/systemtest"
)

// helperEnv makes the test binary apply a config and end: the program that
// TestRealKilledAtEveryStep kills.
const helperEnv = "SIERPI_TEST_ZRAM_APPLY"

func TestMain(m *testing.M) {
	if doc := os.Getenv(helperEnv); doc != "" {
		// One thread makes all calls, so that strace counts them in one row.
		runtime.LockOSThread()
		var job struct {
			RunDir string
			Config config.Zram
		}
		err := json.Unmarshal([]byte(doc), &job)
		if err == nil {
			_, err = Manager{Root: "/", RunDir: job.RunDir}.Apply(context.Background(), job.Config)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Power-off has no half-way, but the OOM killer and an impatient owner do: a run
// killed before any of its system calls is finished by the next one, which leaves
// one device and nothing else.
func TestRealKilledAtEveryStep(t *testing.T) {
	m := real(t)
	strace := systemtest.Tool(t, "strace", "strace")
	before := len(deviceNames(t))
	small := small()
	bigger := small
	bigger.Size = "24MiB"
	for name, scenario := range map[string]struct {
		first *config.Zram
		then  config.Zram
		calls []string
	}{
		"first": {nil, small, []string{"write", "pwrite64", "fsync", "swapon", "renameat", "read"}},
		"grow":  {&small, bigger, []string{"write", "pwrite64", "fsync", "swapon", "swapoff", "renameat", "read"}},
	} {
		for _, call := range scenario.calls {
			kills := 0
			for n := 1; ; n++ {
				if scenario.first != nil {
					apply(t, m, *scenario.first)
				}
				doc, _ := json.Marshal(map[string]any{"RunDir": m.RunDir, "Config": scenario.then})
				args := []string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
					"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n)}
				if call == "read" {
					// The one read that changes something. Its second call, at the end of the
					// file, is the moment between the new device and our note of it.
					args = append(args, "-P", "/sys/class/zram-control/hot_add")
				}
				cmd := exec.Command(strace, append(args, os.Args[0])...)
				cmd.Env = append(os.Environ(), helperEnv+"="+string(doc))
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				err := cmd.Run()
				var exit *exec.ExitError
				killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
				if err != nil && !killed {
					if strings.Contains(stderr.String(), "ptrace") {
						systemtest.Absent(t, "strace may not trace here: "+stderr.String())
					}
					t.Fatalf("%s, %s %d: %v\n%s", name, call, n, err, stderr.String())
				}
				p := apply(t, m, scenario.then)
				got := ours(t, m)
				if len(got) != 1 || len(deviceNames(t)) != before+1 || !apply(t, m, scenario.then).Empty() {
					t.Fatalf("%s killed at %s %d: then %v of all %v\n%s", name, call, n, got, deviceNames(t), p)
				}
				if _, err := m.Off(context.Background()); err != nil {
					t.Fatalf("%s killed at %s %d: off: %v", name, call, n, err)
				}
				if len(deviceNames(t)) != before {
					t.Fatalf("%s killed at %s %d: off left %v", name, call, n, deviceNames(t))
				}
				if !killed {
					break
				}
				kills++
			}
			t.Logf("%s: killed at each of %d calls of %s", name, kills, call)
			if kills == 0 {
				t.Errorf("%s: %s was never reached", name, call)
			}
		}
	}
}
