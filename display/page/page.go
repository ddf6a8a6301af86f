package page

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"time"
)

//go:embed static
var static embed.FS

// StaticPrefix is where Static must be mounted: "GET /static/display/".
const StaticPrefix = "/static/display/"

// ScreenPath, PicturePath are where the pages expect the stage: ServeScreen and
// ServePicture of package display.
const (
	ScreenPath  = "/display/screen"
	PicturePath = "/display/frame.png"
)

// Kiosk is the page for the wall: full screen, every card.
func Kiosk() http.Handler { return document("kiosk.html") }

// Wall is the same universe for phones and visitors: 10 frames a second, a clock-free
// page with a pause button.
func Wall() http.Handler { return document("wall.html") }

// Static serves the pages' modules and style sheets.
func Static() http.Handler {
	sub, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the name is a constant
	}
	files := http.StripPrefix(StaticPrefix, http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The files change with the program only, but the kiosk must not
		// run last week's modules after an upgrade: ask each time, it is the same machine.
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		files.ServeHTTP(w, r)
	})
}

func document(name string) http.Handler {
	content, err := static.ReadFile("static/" + name)
	if err != nil {
		panic(err) // the name is a constant
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		// The kiosk's address holds its token.
		h.Set("Referrer-Policy", "no-referrer")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
}
