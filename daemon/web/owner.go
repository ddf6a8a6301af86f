package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	ownerFile    = "owner.json"          // the hash of the secret
	sessionsFile = "owner-sessions.json" // the hashes of the sessions' names

	ownerCookie = "sierpi-owner"
	maxSessions = 16

	// sessionLife counts the time the daemon runs, not the calendar: a board
	// without a clock may boot in 1970 and jump decades, which must neither end
	// a session nor keep it alive.
	sessionLife = 30 * 24 * time.Hour
	// saveEvery is how often the time that is left is noted on the card: a pulled
	// plug gives a session back at most so much.
	saveEvery = 24 * time.Hour
)

// OwnerDoor is how the owner comes in: the secret, of which only a hash is kept,
// and the sessions that it opens. Sessions survive a restart of the daemon; a new
// secret (ResetOwnerSecret) ends them all, without a restart.
type OwnerDoor struct {
	dir     string
	log     *slog.Logger
	guesses *Limiter
	uptime  func() time.Duration // monotonic; wall time cannot be expressed in it

	mu       sync.Mutex
	secret   secretRecord
	stat     os.FileInfo              // of the file that secret was read from
	sessions map[string]time.Duration // hash of the cookie -> uptime at which it ends
}

type secretRecord struct {
	Salt string `json:"salt"`
	Hash string `json:"hash"` // SHA-256 of salt and secret: 100 random bits need no slow hash
}

type sessionsRecord struct {
	Secret   string         `json:"secret"` // the hash of the secret that opened them
	Sessions []sessionEntry `json:"sessions"`
}

type sessionEntry struct {
	ID   string `json:"id"`
	Left int64  `json:"left_seconds"`
}

// OpenOwnerDoor reads the secret's hash and the sessions from the state folder.
// Where there is no secret yet it makes one and returns it in fresh, to be shown
// once on the terminal or the serial console and never stored. A damaged file
// locks the door (the log says so and how to reset it) but not the daemon.
func OpenOwnerDoor(dir string, log *slog.Logger) (door *OwnerDoor, fresh string, err error) {
	start := time.Now()
	d := &OwnerDoor{dir: dir, log: log, uptime: func() time.Duration { return time.Since(start) },
		guesses: NewLimiter(10*time.Second, 5, 1024), sessions: map[string]time.Duration{}}
	if _, err := os.Stat(d.path(ownerFile)); errors.Is(err, fs.ErrNotExist) {
		if fresh, err = ResetOwnerSecret(dir); err != nil {
			return nil, "", err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refresh()
	d.restore()
	return d, fresh, nil
}

// ResetOwnerSecret makes a new secret, stores its hash and returns it. The old one
// and all its sessions end, also in a daemon that is running.
func ResetOwnerSecret(dir string) (string, error) {
	secret := newSecret()
	salt := randomHex(16)
	data, err := json.Marshal(secretRecord{Salt: salt, Hash: hashSecret(salt, secret)})
	if err != nil {
		return "", fmt.Errorf("encoding the owner's secret: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, ownerFile), append(data, '\n'), 0o600); err != nil {
		return "", err
	}
	return secret, nil
}

// String names the task.
func (d *OwnerDoor) String() string { return "owner's sessions" }

// Run notes once a day, and at the end, how much time the sessions have left.
func (d *OwnerDoor) Run(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		var done bool
		select {
		case <-tick.C:
		case <-ctx.Done():
			done = true
		}
		d.mu.Lock()
		if d.expire(); len(d.sessions) > 0 {
			if err := d.save(); err != nil {
				d.log.Warn("the owner's sessions could not be saved", "err", err)
			}
		}
		d.mu.Unlock()
		if done {
			return nil
		}
	}
}

// Identify is Owner for a request with the cookie of a session.
func (d *OwnerDoor) Identify(r *http.Request) Role {
	c, err := r.Cookie(ownerCookie)
	if err != nil || c.Value == "" {
		return Anyone
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refresh()
	// Looked up by its hash: the time it takes tells nothing of a session's name.
	if until, ok := d.sessions[hashID(c.Value)]; ok && d.uptime() < until {
		return Owner
	}
	return Anyone
}

// Routes are the sign-in page and what its forms send to.
func (d *OwnerDoor) Routes(look *Look) []Route {
	return []Route{
		{Method: "GET", Pattern: "/owner", Handler: http.RedirectHandler("/owner/login", http.StatusFound)}, // as one types it
		{Method: "GET", Pattern: "/owner/login", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			look.signIn(w, r, http.StatusOK, localPath(r.URL.Query().Get("next")), "")
		})},
		{Method: "POST", Pattern: "/owner/login", MaxBody: 4 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d.signIn(look, w, r)
		})},
		{Method: "POST", Pattern: "/owner/logout", Role: Owner, MaxBody: 4 << 10, Handler: http.HandlerFunc(d.signOut)},
	}
}

func (d *OwnerDoor) signIn(look *Look, w http.ResponseWriter, r *http.Request) {
	next := localPath(r.PostFormValue("next"))
	if ok, wait := d.guesses.Allow(r); !ok {
		seconds := int(math.Ceil(wait.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		look.signIn(w, r, http.StatusTooManyRequests, next, fmt.Sprintf("Too many tries. Wait %d seconds, then try again.", seconds))
		return
	}
	if !d.opens(r.PostFormValue("secret")) {
		d.log.Warn("a sign-in as owner was refused", "client", r.RemoteAddr)
		look.signIn(w, r, http.StatusUnauthorized, next, "That is not the secret.")
		return
	}
	id, err := d.open()
	if err != nil {
		d.log.Error("the owner's session could not be saved", "err", err)
		look.Error(w, r, http.StatusInternalServerError, "The sign-in could not be saved.", "The machine's storage may be full or read-only; see the log.")
		return
	}
	d.log.Info("the owner signed in", "client", r.RemoteAddr)
	setCookie(w, r, ownerCookie, id, int(sessionLife.Seconds()))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (d *OwnerDoor) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(ownerCookie); err == nil {
		d.mu.Lock()
		delete(d.sessions, hashID(c.Value))
		if err := d.save(); err != nil {
			d.log.Error("the end of the owner's session could not be saved", "err", err)
		}
		d.mu.Unlock()
	}
	setCookie(w, r, ownerCookie, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// opens reports whether this is the secret.
func (d *OwnerDoor) opens(secret string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refresh()
	if d.secret.Hash == "" {
		return false
	}
	got := hashSecret(d.secret.Salt, canonicalSecret(secret))
	return subtle.ConstantTimeCompare([]byte(got), []byte(d.secret.Hash)) == 1
}

// open begins a session and returns its name, once it is on the card.
func (d *OwnerDoor) open() (string, error) {
	id := randomHex(32)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	for len(d.sessions) >= maxSessions {
		oldest := ""
		for h, until := range d.sessions {
			if oldest == "" || until < d.sessions[oldest] {
				oldest = h
			}
		}
		delete(d.sessions, oldest)
	}
	d.sessions[hashID(id)] = d.uptime() + sessionLife
	return id, d.save()
}

// expire forgets sessions whose time is over. The caller holds mu.
func (d *OwnerDoor) expire() {
	for h, until := range d.sessions {
		if d.uptime() >= until {
			delete(d.sessions, h)
		}
	}
}

// save writes the sessions. The caller holds mu.
func (d *OwnerDoor) save() error {
	rec := sessionsRecord{Secret: d.secret.Hash, Sessions: []sessionEntry{}}
	for h, until := range d.sessions {
		rec.Sessions = append(rec.Sessions, sessionEntry{ID: h, Left: int64((until - d.uptime()).Seconds())})
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encoding the owner's sessions: %w", err)
	}
	return replaceFile(d.path(sessionsFile), append(data, '\n'), 0o600)
}

// restore reads the sessions that the secret at hand opened. The caller holds mu.
func (d *OwnerDoor) restore() {
	data, err := os.ReadFile(d.path(sessionsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var rec sessionsRecord
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	if err != nil {
		d.log.Warn("the owner's sessions cannot be read; the owner must sign in again", "err", err)
		return
	}
	if rec.Secret != d.secret.Hash || rec.Secret == "" {
		return
	}
	for _, s := range rec.Sessions[:min(len(rec.Sessions), maxSessions)] {
		left := time.Duration(min(s.Left, int64(sessionLife.Seconds()))) * time.Second
		if left > 0 && len(s.ID) == sha256.Size*2 {
			d.sessions[s.ID] = d.uptime() + left
		}
	}
}

// refresh reads the secret's hash again when its file was replaced, and then
// drops the sessions that the old one opened. The caller holds mu.
func (d *OwnerDoor) refresh() {
	st, err := os.Stat(d.path(ownerFile))
	if err == nil && d.stat != nil && os.SameFile(st, d.stat) && st.ModTime().Equal(d.stat.ModTime()) && st.Size() == d.stat.Size() {
		return
	}
	if err != nil && d.stat == nil && d.secret.Hash == "" {
		return
	}
	var rec secretRecord
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(d.path(ownerFile)); err == nil {
			err = json.Unmarshal(data, &rec)
		}
		if err == nil && len(rec.Hash) != sha256.Size*2 {
			err = errors.New("it holds no hash")
		}
	}
	if err != nil {
		d.log.Error("nobody can sign in as owner: "+ownerFile+" cannot be read; `sierpi owner reset-secret` makes a new one", "err", err)
		rec = secretRecord{}
	}
	if rec != d.secret {
		clear(d.sessions)
	}
	d.secret, d.stat = rec, st
}

func (d *OwnerDoor) path(name string) string { return filepath.Join(d.dir, name) }

// secretAlphabet is Crockford's base 32: no letter that reads as a digit.
const secretAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// newSecret is 100 random bits in five groups of four, to be typed from a wall.
func newSecret() string {
	var raw [20]byte
	_, _ = rand.Read(raw[:]) // never fails
	var b strings.Builder
	for i, c := range raw {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(secretAlphabet[c%32])
	}
	return b.String()
}

// canonicalSecret forgives what people do when they type a secret.
func canonicalSecret(s string) string {
	s = strings.Map(func(c rune) rune {
		switch c {
		case ' ', '\t', '-', '\n', '\r':
			return -1
		case 'o':
			return '0'
		case 'i', 'l':
			return '1'
		}
		return c
	}, strings.ToLower(s))
	var b strings.Builder
	for i, c := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func hashSecret(salt, secret string) string {
	sum := sha256.Sum256([]byte(salt + "\x00" + secret))
	return hex.EncodeToString(sum[:])
}

func hashID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// setCookie sets a cookie that scripts cannot read and other sites cannot use.
// It is Secure where TLS is; the appliance speaks plain http on its own network.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
}

// localPath is where to go after signing in: a path of this host, nothing else.
func localPath(p string) string {
	if len(p) > 1024 || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\r\n\t") {
		return "/"
	}
	return p
}
