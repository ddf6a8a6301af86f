package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/display/page"
	"github.com/sierpi/sierpi/display/wire"
	"github.com/sierpi/sierpi/system/systemtest"
)

// TestVectors runs the JavaScript decoder over the vectors that the Go decoder
// passes.
func TestVectors(t *testing.T) {
	node := systemtest.Tool(t, "node", "nodejs")
	out, err := exec.CommandContext(t.Context(), node, "testdata/vectors.mjs", "../wire/testdata/vectors.json").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || n < 200 {
		t.Errorf("the decoder ran over %q messages", out)
	}
}

// TestBand holds that page and daemon agree which rows of which picture they compare.
func TestBand(t *testing.T) {
	node := systemtest.Tool(t, "node", "nodejs")
	out, err := exec.CommandContext(t.Context(), node, "testdata/bands.mjs").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		var width, height, from, to int
		var number uint32
		if _, err := fmt.Sscan(line, &width, &height, &number, &from, &to); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if top, bottom := wire.Band(width, height, number); from != top || to != bottom {
			t.Fatalf("%dx%d, picture %d: the page compares rows %d to %d, the daemon %d to %d", width, height, number, from, to, top, bottom)
		}
		n++
	}
	if n < 1000 {
		t.Errorf("%d cases", n)
	}
}

// TestTypes type-checks the modules.
func TestTypes(t *testing.T) {
	tsc := systemtest.Tool(t, "tsc", "node-typescript")
	if out, err := exec.CommandContext(t.Context(), tsc, "--project", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestNothingInline holds the documents to what the content security policy allows, and
// every file to this host.
func TestNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)
	foreign := regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9-]+\.[a-z]`)
	files, err := os.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile("static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name(), ".html") {
			if m := inline.Find(data); m != nil {
				t.Errorf("%s has %q inline", f.Name(), m)
			}
		}
		if m := foreign.Find(data); m != nil {
			t.Errorf("%s names another host: %q", f.Name(), m)
		}
	}
}

func TestServes(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /kiosk", page.Kiosk())
	mux.Handle("GET /wall", page.Wall())
	mux.Handle("GET "+page.StaticPrefix, page.Static())
	for path, kind := range map[string]string{
		"/kiosk": "text/html", "/wall": "text/html",
		"/static/display/screen.js": "text/javascript", "/static/display/screen.css": "text/css",
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: status %d, type %q", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/static/display/nothing.js", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a file that is not there: status %d", w.Code)
	}
}
