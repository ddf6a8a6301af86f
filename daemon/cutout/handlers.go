package cutout

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sierpi/sierpi/daemon/web"
)

const (
	maxPreview  = 1200 // pixels a side of a preview
	maxFiles    = 100  // in one request
	maxBodyHead = 64 << 10
	answerTime  = 3 * time.Minute // for a large picture on a small board
)

// Routes are the addresses of the service.
func (s *Service) Routes() []web.Route {
	body := s.uploads.total + maxBodyHead
	return []web.Route{
		{Method: "GET", Pattern: "/cutout", Role: web.Anyone, Handler: http.HandlerFunc(s.page)},
		{Method: "POST", Pattern: "/cutout", Role: web.Anyone, MaxBody: body, Handler: s.handler(s.cut)},
		{Method: "POST", Pattern: "/cutout/preview", Role: web.Anyone, MaxBody: body, Handler: s.handler(s.preview)},
		s.assets.Route(s.look),
	}
}

// upload is what a request brings.
type upload struct {
	values url.Values
	files  []sent
}

type sent struct {
	name string
	data []byte
}

// handler reads the request, holding the memory that it takes, and answers with the
// error that h returns.
func (s *Service) handler(h func(http.ResponseWriter, *http.Request, upload) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := func() error {
			if ok, wait := s.limits.Allow(r); !ok {
				return &tooMany{wait}
			}
			defer s.begin()()
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime)) // where it cannot be set, the server's own holds
			size := r.ContentLength
			if size > s.uploads.total {
				return s.tooLarge()
			}
			if size < 0 {
				size = s.uploads.total
			}
			release, err := hold(r.Context(), s.uploads, size)
			if err != nil {
				return err
			}
			defer release()
			u, err := s.read(r, make([]byte, 0, size))
			if err != nil {
				return err
			}
			return h(w, r, u)
		}()
		if err != nil {
			s.answerError(w, r, err)
		}
	})
}

type tooMany struct{ wait time.Duration }

func (t *tooMany) Error() string { return "too many pictures at once" }

// tooBig is a body beyond what is held in memory.
type tooBig struct{ Refusal }

func (s *Service) tooLarge() error {
	return &tooBig{Refusal{fmt.Sprintf("that is more than the %d MB that may be sent at once", s.uploads.total/1e6), "send fewer or smaller pictures"}}
}

func (s *Service) answerError(w http.ResponseWriter, r *http.Request, err error) {
	status, what, remedy := http.StatusInternalServerError, "the picture could not be cut", "try again in a moment; the owner finds the reason in the log"
	var refusal *Refusal
	var big *tooBig
	var many *tooMany
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		status, what, remedy = http.StatusRequestEntityTooLarge, s.tooLarge().(*tooBig).What, "send fewer or smaller pictures"
	case errors.As(err, &big):
		status, what, remedy = http.StatusRequestEntityTooLarge, big.What, big.Remedy
	case errors.As(err, &many):
		status, what, remedy = http.StatusTooManyRequests, "that is too many pictures at once", "wait a moment and go on"
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(many.wait.Seconds()))))
	case errors.As(err, &refusal):
		status, what, remedy = http.StatusUnprocessableEntity, refusal.What, refusal.Remedy
	case errors.Is(err, errBusy):
		status, what, remedy = http.StatusServiceUnavailable, "other pictures are being cut", "try again in half a minute"
		w.Header().Set("Retry-After", "30")
	case r.Context().Err() != nil:
		return // nobody is listening any more
	default:
		s.log.Error("a picture could not be cut", "err", err)
	}
	for _, h := range []string{"Content-Disposition", "Content-Encoding"} {
		w.Header().Del(h)
	}
	what = strings.ToUpper(what[:1]) + what[1:]
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.look.Error(w, r, status, what+".", sentence(remedy))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, status, map[string]string{"error": what, "remedy": remedy})
}

// sentence makes one of a remedy.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// fill reads all of r into what is free of the room and returns it.
func (s *Service) fill(room *[]byte, r io.Reader) ([]byte, error) {
	start := len(*room)
	for {
		free := (*room)[len(*room):cap(*room)]
		if len(free) == 0 {
			var one [1]byte
			if n, err := io.ReadFull(r, one[:]); n > 0 {
				return nil, s.tooLarge()
			} else if !errors.Is(err, io.EOF) {
				return nil, readError(err)
			}
			return (*room)[start:], nil
		}
		n, err := r.Read(free)
		*room = (*room)[:len(*room)+n]
		if errors.Is(err, io.EOF) {
			return (*room)[start:], nil
		} else if err != nil {
			return nil, readError(err)
		}
	}
}

// read takes a form with files, or one picture as the body with the options in the
// address, into the room, which is never grown: what was counted is what is held.
func (s *Service) read(r *http.Request, room []byte) (upload, error) {
	u := upload{values: r.URL.Query()}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" {
		return u, &Refusal{"there is no picture in the request", "send it as the body with Content-Type: image/jpeg, or as multipart/form-data"}
	}
	if kind != "multipart/form-data" {
		data, err := s.fill(&room, r.Body)
		if err != nil {
			return u, err
		}
		u.files = []sent{{"picture", data}}
		return u, nil
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return u, &Refusal{"the form could not be read", "send it again"}
	}
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u, readError(err)
		}
		if n > maxFiles {
			return u, &Refusal{fmt.Sprintf("the form has more than %d parts", maxFiles), "send fewer pictures at once"}
		}
		data, err := s.fill(&room, part)
		if err != nil {
			return u, err
		}
		if part.FileName() == "" && part.FormName() != "picture" {
			if len(data) > 1000 {
				return u, &Refusal{fmt.Sprintf("the field %.40q is longer than any option", part.FormName()), ""}
			}
			u.values.Set(part.FormName(), string(data))
			continue
		}
		if len(data) > 0 { // a form without a chosen file sends an empty one
			u.files = append(u.files, sent{part.FileName(), data})
		}
	}
	if len(u.files) == 0 {
		return u, &Refusal{"no picture was chosen", "choose one and try again"}
	}
	return u, nil
}

func readError(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return err
	}
	return &Refusal{"the upload broke off", "send it again"}
}

// open decodes a picture, holding the memory that it needs until release.
func (s *Service) open(ctx context.Context, f sent, extra int64) (p *Picture, release func(), err error) {
	r := bytes.NewReader(f.data)
	info, err := Probe(r)
	if err != nil {
		return nil, nil, err
	}
	release, err = hold(ctx, s.work, info.Memory+extra)
	if err != nil {
		return nil, nil, err
	}
	p, err = Decode(r, info)
	if err != nil {
		release()
		return nil, nil, err
	}
	return p, release, nil
}

// planned opens a picture and plans it.
func (s *Service) planned(ctx context.Context, f sent, o Options) (*Plan, func(), error) {
	p, release, err := s.open(ctx, f, int64(4*o.Size*o.Size))
	if err != nil {
		return nil, nil, err
	}
	plan, err := p.Plan(ctx, o)
	if err != nil {
		release()
		return nil, nil, err
	}
	return plan, release, nil
}

// cut answers with the PNG of one picture, or with an archive of several.
func (s *Service) cut(w http.ResponseWriter, r *http.Request, u upload) error {
	o, err := ParseOptions(u.values)
	if err != nil {
		return err
	}
	if len(u.files) > 1 {
		return s.archive(w, r, u, o)
	}
	plan, release, err := s.planned(r.Context(), u.files[0], o)
	if err != nil {
		return err
	}
	defer release()
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": resultName(u.files[0].name)}))
	h.Set("Cache-Control", "no-store")
	h.Set("Cutout-Background", plan.Background.Color.String())
	h.Set("Cutout-Tolerance", strconv.Itoa(plan.Tolerance))
	if err := plan.WritePNG(r.Context(), w); err != nil {
		// The head is out: what is cut short must not look whole.
		s.log.Debug("a result was not taken", "err", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// archive answers with a zip of the results; in the place of one that failed stands
// a text that says why.
func (s *Service) archive(w http.ResponseWriter, r *http.Request, u upload, o Options) error {
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="cut-out.zip"`)
	h.Set("Cache-Control", "no-store")
	z := zip.NewWriter(w)
	used := map[string]bool{}
	entry := func(name string) (io.Writer, error) {
		base, ext := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
		for n := 2; used[name]; n++ {
			name = fmt.Sprintf("%s-%d%s", base, n, ext)
		}
		used[name] = true
		// PNGs do not get smaller.
		return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: time.Now()})
	}
	one := func(f sent) error {
		plan, release, err := s.planned(r.Context(), f, o)
		if err == nil {
			defer release()
			out, err := entry(resultName(f.name))
			if err != nil {
				return err
			}
			return plan.WritePNG(r.Context(), out)
		}
		why := "The picture could not be cut: try again in a moment."
		var refusal *Refusal
		if errors.As(err, &refusal) {
			why = refusal.Error()
		} else if r.Context().Err() == nil {
			s.log.Error("a picture could not be cut", "err", err)
		}
		out, err := entry(strings.TrimSuffix(resultName(f.name), ".png") + " - not cut.txt")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s: %s\n", f.name, why)
		return err
	}
	for _, f := range u.files {
		if err := one(f); err != nil {
			s.log.Debug("results were not taken", "err", err)
			panic(http.ErrAbortHandler)
		}
	}
	if err := z.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// resultName is what the result of a file is called: the same name, .png.
func resultName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "_"), "\\", "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || strings.ContainsRune(`"<>|?*:`, r) {
			return '_'
		}
		return r
	}, name)
	base := strings.TrimSuffix(name, path.Ext(name))
	for len(base) > 200 {
		base = base[:len(base)-1]
	}
	base = strings.ToValidUTF8(base, "")
	if strings.Trim(base, ". /") == "" {
		base = "picture"
	}
	if strings.EqualFold(path.Ext(name), ".png") {
		return base + "-cut.png" // beside its source
	}
	return base + ".png"
}

// preview answers with the pixels of the reduced picture as they are, RGBA, row by
// row, for the page to cut as the sliders move; size, and what was estimated, stand
// in the header.
func (s *Service) preview(w http.ResponseWriter, r *http.Request, u upload) error {
	size := maxPreview
	if v := u.values.Get("size"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxPreview {
			return &Refusal{fmt.Sprintf("size=%.20q is no size of a preview", v), fmt.Sprintf("choose from 1 to %d", maxPreview)}
		}
		size = n
	}
	p, release, err := s.open(r.Context(), u.files[0], int64(8*size*size))
	if err != nil {
		return err
	}
	defer release()
	width, height := p.Size()
	small := reduced(p.pixels, size)
	sw, sh := small.size()
	pix := make([]byte, 4*sw*sh)
	small.read(pix, 0, 0, sw, sh)
	h := w.Header()
	bg, err := estimate(p.pixels, p.Info.Lossy)
	if err == nil {
		h.Set("Cutout-Background", bg.Color.String())
		h.Set("Cutout-Tolerance", strconv.Itoa(bg.Tolerance))
		h.Set("Cutout-Share", strconv.FormatFloat(bg.Share, 'f', 3, 64))
	}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Cutout-Size", fmt.Sprintf("%dx%d", sw, sh))
	h.Set("Cutout-Original", fmt.Sprintf("%dx%d", width, height))
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_, _ = w.Write(pix)
		return nil
	}
	h.Set("Content-Encoding", "gzip")
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	_, _ = z.Write(pix)
	_ = z.Close() // whoever does not take it has gone
	return nil
}
