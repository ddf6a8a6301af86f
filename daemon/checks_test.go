package daemon

import (
	"context"
	"net"
	"net/http"
	"slices"
	"testing"
)

// The daemon asks its own pages by number: a resolver that hangs, or a machine without
// the name localhost, is no reason for systemd to restart it.
func TestPagesAreAskedByNumber(t *testing.T) {
	for listener, want := range map[string][]string{
		"0.0.0.0:80":     {"127.0.0.1:80"},
		"[::]:80":        {"127.0.0.1:80", "[::1]:80"},
		"127.0.0.1:8080": {"127.0.0.1:8080"},
		"192.0.2.7:80":   {"192.0.2.7:80"},
		"[2001:db8::7]:80": {
			"[2001:db8::7]:80",
		},
	} {
		a, err := net.ResolveTCPAddr("tcp", listener)
		if err != nil {
			t.Fatal(err)
		}
		if got := ownAddresses(a); !slices.Equal(got, want) {
			t.Errorf("%s is asked at %q, want %q", listener, got, want)
		}
	}
	if got := ownAddresses(&net.UnixAddr{Name: "/run/x", Net: "unix"}); got != nil {
		t.Errorf("a unix socket is asked at %q", got)
	}
}

func TestAnswers(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "127.0.0.1:0"} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan string, 8)
		server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Host + r.URL.Path })}
		served := make(chan struct{})
		go func() { _ = server.Serve(l); close(served) }()
		look := answers([]net.Listener{l})
		if state, why := look(t.Context()); state != OK {
			t.Errorf("%s: %s %s", address, state, why)
		}
		if want := ownAddresses(l.Addr())[0] + "/readyz"; len(asked) != 1 || <-asked != want {
			t.Errorf("%s was not asked once, as %s", address, want)
		}
		_ = server.Close()
		<-served
		if state, why := look(t.Context()); state != Failed || why == "" {
			t.Errorf("%s, closed: %s %q", address, state, why)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if state, _ := look(ctx); state != Failed {
			t.Errorf("%s, given up: %s", address, state)
		}
	}
}
