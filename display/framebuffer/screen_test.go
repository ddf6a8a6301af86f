package framebuffer

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/coder/websocket"
)

// TestComesBack: a connection that ends while messages of it are still coming in is followed by
// another one. (The screen once waited for its own reader, which waited for the screen.)
func TestComesBack(t *testing.T) {
	came := make(chan struct{}, 100)
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/display/screen" {
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		came <- struct{}{}
		for range 20 { // the first is one too many, and the others are on their way
			if conn.Write(r.Context(), websocket.MessageText, []byte("no message")) != nil {
				return
			}
		}
		_, _, _ = conn.Read(r.Context())
	}))
	defer daemon.Close()
	base, err := url.Parse(daemon.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	device, ended := file(t, "320x180x32"), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Device: device, Base: base, Rate: 30, Log: slog.New(slog.DiscardHandler)})
	}()
	for range 3 {
		select {
		case <-came:
		case err := <-ended:
			t.Fatalf("ended with %v", err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}
