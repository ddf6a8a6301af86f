package kiosk

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func reopen(t *testing.T, path string) *record {
	t.Helper()
	r, err := openRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A machine whose wall never paints reboots once an hour, three times, and then
// no more; the record is read anew at each boot, as it is.
func TestReboots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.json")
	boots := []string{"a", "b", "c", "d", "e"}
	for i, boot := range boots {
		r := reopen(t, path)
		if i > 0 {
			if why := r.mayReboot(boot, 20*time.Minute); why == "" {
				t.Errorf("boot %s: a second reboot within 20 minutes", boot)
			}
		}
		why := r.mayReboot(boot, 61*time.Minute)
		if (why == "") != (i < rebootsInVain) {
			t.Errorf("boot %s: %q after an hour", boot, why)
		}
		if why != "" {
			continue
		}
		if err := r.note(Reboot, boot, 61*time.Minute, "white"); err != nil {
			t.Fatal(err)
		}
		if why := r.mayReboot(boot, 62*time.Minute); why == "" {
			t.Error("asked for again while it is on its way")
		}
	}
	r := reopen(t, path)
	if len(r.Reboots) != rebootsInVain || r.Reboots[0].Why != "white" {
		t.Errorf("the record is %+v", r)
	}
	if err := r.helped(); err != nil {
		t.Fatal(err)
	}
	if why := reopen(t, path).mayReboot("z", 2*time.Hour); why != "" {
		t.Errorf("after the wall painted: %s", why)
	}
}

func TestRecordOfSessions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.json")
	if err := reopen(t, path).note(RestartSession, "a", 20*time.Minute, "white"); err != nil {
		t.Fatal(err)
	}
	r := reopen(t, path)
	for _, test := range []struct {
		boot   string
		uptime time.Duration
		want   Step
	}{{"a", 21 * time.Minute, RestartSession}, {"a", 40 * time.Minute, None}, {"b", 21 * time.Minute, None}} {
		if got := r.level(test.boot, test.uptime); got != test.want {
			t.Errorf("boot %s at %v: %v", test.boot, test.uptime, got)
		}
	}
}

// What cannot be read must not lead to one more reboot.
func TestRecordBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.json")
	if err := os.WriteFile(path, []byte(`{"level":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if why := reopen(t, path).mayReboot("a", 100*time.Hour); why == "" {
		t.Error("a broken record lets the machine reboot")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"level":3,"boot":"a","uptime":12.5,"inVain":1,"reboots":[{"at":"2026-11-25T00:00:00Z","boot":"a","uptime":3,"why":"x"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var r record
		if r.parse(doc) != nil {
			return
		}
		if l := r.level("a", time.Hour); l != None && l != RestartSession {
			t.Errorf("level %v", l)
		}
		r.mayReboot("a", time.Hour)
	})
}
