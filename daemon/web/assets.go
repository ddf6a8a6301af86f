package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// Assets serves embedded files: scripts, styles, pictures. Each is kept in memory
// as it is and compressed; its address carries a hash of its content (URL), so
// that a browser keeps it for ever and an update is seen at once. Asked for
// without the hash, as a module asks for its neighbours, a file is revalidated by
// its ETag.
type Assets struct {
	prefix string
	files  map[string]asset
}

type asset struct {
	kind string
	data []byte
	gzip func() []byte // nil where it would not pay
	hash string
}

// NewAssets reads all of fsys, to be served below prefix ("/static/quotes/").
func NewAssets(prefix string, fsys fs.FS) (*Assets, error) {
	if !strings.HasPrefix(prefix, "/") || !strings.HasSuffix(prefix, "/") {
		return nil, fmt.Errorf("the assets' prefix %q must begin and end with /", prefix)
	}
	a := &Assets{prefix: prefix, files: map[string]asset{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		a.files[name] = asset{
			kind: contentType(name), data: data, hash: hex.EncodeToString(sum[:8]),
			// When it is first asked for: a compressor takes most of a megabyte, and a
			// daemon that nobody looks at shall neither take nor spend it at its start.
			gzip: sync.OnceValue(func() []byte { return compressed(data) }),
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the assets below %s: %w", prefix, err)
	}
	return a, nil
}

// compressed is data in gzip's format, or nil if that saves less than a tenth.
func compressed(data []byte) []byte {
	var z bytes.Buffer
	zw, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := zw.Write(data); err != nil || zw.Close() != nil || z.Len() >= len(data)*9/10 {
		return nil // writing to memory does not fail
	}
	return bytes.Clone(z.Bytes())
}

// contentType does not ask the machine's mime.types, which differ.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".woff2":
		return "font/woff2"
	case ".webmanifest":
		return "application/manifest+json"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// URL is the address of a file, with its hash. A name that is not there gives an
// address that answers 404.
func (a *Assets) URL(name string) string {
	f, ok := a.files[name]
	if !ok {
		return a.prefix + name
	}
	return a.prefix + name + "?v=" + f.hash
}

// Route serves the files.
func (a *Assets) Route(look *Look) Route {
	return Route{Method: "GET", Pattern: a.prefix + "{name...}", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := a.files[r.PathValue("name")]
		if !ok {
			look.Error(w, r, http.StatusNotFound, "There is no such file here.", "")
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Vary", "Accept-Encoding")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Query().Get("v") == f.hash {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		data, tag := f.data, f.hash
		if AcceptsGzip(r) {
			if zipped := f.gzip(); zipped != nil {
				h.Set("Content-Encoding", "gzip")
				data, tag = zipped, f.hash+"-gz"
			}
		}
		h.Set("ETag", `"`+tag+`"`)
		for t := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
			if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == `"`+tag+`"` || t == "*" {
				h.Del("Content-Encoding")
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		h.Set("Content-Length", fmt.Sprint(len(data)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(data)
		}
	})}
}

// AcceptsGzip tells whether the client takes gzip (RFC 9110 section 12.5.3).
func AcceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
