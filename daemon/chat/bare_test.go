package chat

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// bareServer is the least that a long poll needs.
func bareServer(addr string) error {
	var mu sync.Mutex
	wake := make(chan struct{})
	var news []byte
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			news = body
			close(wake)
			wake = make(chan struct{})
			mu.Unlock()
			return
		}
		mu.Lock()
		mine := wake
		mu.Unlock()
		hold := time.NewTimer(10 * time.Minute)
		defer hold.Stop()
		select {
		case <-mine:
		case <-hold.C:
		case <-r.Context().Done():
		}
		mu.Lock()
		out := news
		mu.Unlock()
		_, _ = w.Write(out)
	}))
}
