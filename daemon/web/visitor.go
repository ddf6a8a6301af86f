package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	visitorCookie = "sierpi-visitor"
	visitorsFile  = "visitors.json" // who is banned, and whether the wall is frozen

	// JoinPath is where the wall's code leads. It is in capitals, because a QR code of capitals and
	// digits alone is a third smaller.
	JoinPath = "/J/"

	// codeEvery is how long a code is shown; it may be used for one more such time, by
	// who scanned it just before it went.
	codeEvery = time.Minute
	// visitLife is how long a visit lasts without a sign of life, and how long at most.
	visitIdle = 30 * time.Minute
	visitLife = 4 * time.Hour
	maxVisits = 32
	maxBans   = 200
)

// VisitorDoor is how visitors come in: by the code that the wall shows. A code is good for
// one visitor, for less than two minutes, and is 80 random bits; with the first use the wall
// shows another. All its times are the monotonic clock's. Visits end with the daemon;
// bans and the freeze last.
type VisitorDoor struct {
	dir     string
	log     *slog.Logger
	guesses *Limiter
	uptime  func() time.Duration // monotonic; wall time cannot be expressed in it

	mu      sync.Mutex
	codes   []visitCode // the newest last
	changed chan struct{}
	visits  map[string]*visit // by the hash of the cookie
	frozen  bool
	bans    map[netip.Prefix]string // and the name it had
}

type visitCode struct {
	text  string
	since time.Duration
	used  bool
}

type visit struct {
	name        string
	client      netip.Prefix
	since, seen time.Duration
	ctx         context.Context // ends with the visit, or a freeze
	end         context.CancelFunc
}

// VisitInfo is a visitor as the owner sees him.
type VisitInfo struct {
	Name   string
	Client string
	Since  time.Duration // ago
}

// BanInfo is who must not come in.
type BanInfo struct {
	Client string // an address, or an IPv6 network
	Name   string // the visitor's name when he was banned
}

type visitorsRecord struct {
	Frozen bool              `json:"frozen"`
	Bans   map[string]string `json:"bans"`
}

// OpenVisitorDoor reads the bans and the freeze from the state folder. A damaged file
// freezes the wall: who was banned must not come in by it.
func OpenVisitorDoor(dir string, log *slog.Logger) (*VisitorDoor, error) {
	start := time.Now()
	d := &VisitorDoor{
		dir: dir, log: log, uptime: func() time.Duration { return time.Since(start) },
		guesses: NewLimiter(10*time.Second, 5, 1024), changed: make(chan struct{}),
		visits: map[string]*visit{}, bans: map[netip.Prefix]string{},
	}
	data, err := os.ReadFile(filepath.Join(dir, visitorsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	var rec visitorsRecord
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	if err != nil {
		log.Error("the list of banned visitors cannot be read; the wall is frozen until the owner thaws it", "err", err)
		d.frozen = true
		return d, nil
	}
	d.frozen = rec.Frozen
	for client, name := range rec.Bans {
		if p, err := netip.ParsePrefix(client); err == nil && len(d.bans) < maxBans {
			d.bans[p] = name
		}
	}
	return d, nil
}

// Code is the code to show now, how long it is to be shown, and what is closed when
// another is to be shown earlier. It is "" while the wall is frozen.
func (d *VisitorDoor) Code() (code string, left time.Duration, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frozen {
		return "", codeEvery, d.changed
	}
	now := d.uptime()
	d.codes = slices.DeleteFunc(d.codes, func(c visitCode) bool { return now-c.since >= 2*codeEvery })
	if n := len(d.codes); n == 0 || d.codes[n-1].used || now-d.codes[n-1].since >= codeEvery {
		d.codes = append(d.codes, visitCode{text: newVisitCode(), since: now})
	}
	c := d.codes[len(d.codes)-1]
	return c.text, codeEvery - (now - c.since), d.changed
}

func newVisitCode() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	for i, c := range raw {
		raw[i] = secretAlphabet[c%32]
	}
	return strings.ToUpper(string(raw[:]))
}

// announce makes who shows the code look again. The caller holds mu.
func (d *VisitorDoor) announce() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// Identify is Visitor for a request with the cookie of a visit.
func (d *VisitorDoor) Identify(r *http.Request) Role {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.visitOf(r) == nil {
		return Anyone
	}
	return Visitor
}

// Session implements Ending: the visit ends by a ban, a freeze, or by itself.
func (d *VisitorDoor) Session(r *http.Request) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.visitOf(r); v != nil {
		return v.ctx
	}
	return nil
}

// Name is what the visitor is called; "" for who is none.
func (d *VisitorDoor) Name(r *http.Request) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.visitOf(r); v != nil {
		return v.name
	}
	return ""
}

// visitOf is the visit that the request belongs to. The caller holds mu.
func (d *VisitorDoor) visitOf(r *http.Request) *visit {
	c, err := r.Cookie(visitorCookie)
	if err != nil || c.Value == "" || d.frozen {
		return nil
	}
	// Looked up by its hash: the time it takes tells nothing of a visit's name.
	v := d.visits[hashID(c.Value)]
	if v == nil || d.isOver(v) {
		return nil
	}
	if _, banned := d.bans[ClientKey(r)]; banned {
		return nil
	}
	v.seen = d.uptime()
	return v
}

func (d *VisitorDoor) isOver(v *visit) bool {
	now := d.uptime()
	return now-v.seen >= visitIdle || now-v.since >= visitLife
}

// expire ends the visits whose time is over. The caller holds mu.
func (d *VisitorDoor) expire() {
	for h, v := range d.visits {
		if d.isOver(v) {
			v.end()
			delete(d.visits, h)
		}
	}
}

// Routes are the way in and the way out.
func (d *VisitorDoor) Routes(look *Look) []Route {
	return []Route{
		{Method: "GET", Pattern: JoinPath + "{code}", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Nothing is used up by looking: scanners and chats fetch an address before a human does.
			look.join(w, r, r.PathValue("code"))
		})},
		{Method: "POST", Pattern: "/join", MaxBody: 4 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.join(look, w, r) })},
		{Method: "POST", Pattern: "/leave", MaxBody: 4 << 10, Handler: http.HandlerFunc(d.leave)},
	}
}

func (d *VisitorDoor) join(look *Look, w http.ResponseWriter, r *http.Request) {
	if ok, wait := d.guesses.Allow(r); !ok {
		seconds := int(math.Ceil(wait.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		look.Error(w, r, http.StatusTooManyRequests, "Too many tries.", fmt.Sprintf("Wait %d seconds, then scan the code on the wall again.", seconds))
		return
	}
	id, err := d.open(r, strings.ToUpper(r.PostFormValue("code")))
	if err != nil {
		look.Error(w, r, http.StatusForbidden, err.what, err.remedy)
		return
	}
	setCookie(w, r, visitorCookie, id, 0)
	http.Redirect(w, r, "/remote", http.StatusSeeOther)
}

// joinError is why somebody does not get in.
type joinError struct{ what, remedy string }

// open uses the code up and begins a visit.
func (d *VisitorDoor) open(r *http.Request, code string) (id string, refused *joinError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	client := ClientKey(r)
	if _, banned := d.bans[client]; banned {
		return "", &joinError{"This device may not steer the wall.", "Its owner decided so; ask him."}
	}
	if d.frozen {
		return "", &joinError{"The wall is frozen just now.", "Its owner will let visitors in again."}
	}
	now, found := d.uptime(), -1
	for i, c := range d.codes {
		// The codes are 80 random bits and are gone in two minutes: comparing one byte
		// after the other tells nobody anything in time.
		if c.text == code && now-c.since < 2*codeEvery {
			found = i
		}
	}
	switch {
	case found < 0:
		d.log.Info("a visitor's code was refused", "client", client)
		return "", &joinError{"This code is not good any more.", "Scan the one that the wall shows now."}
	case d.codes[found].used:
		d.log.Info("a visitor's code was used twice", "client", client)
		return "", &joinError{"This code let somebody in already.", "Each is good once. Scan the one that the wall shows now."}
	}
	d.expire()
	if len(d.visits) >= maxVisits {
		return "", &joinError{"There are as many visitors as the wall can take.", "Try again when somebody has left."}
	}
	d.codes[found].used = true
	if old, err := r.Cookie(visitorCookie); err == nil {
		if v := d.visits[hashID(old.Value)]; v != nil { // one phone, one visit
			v.end()
			delete(d.visits, hashID(old.Value))
		}
	}
	id = randomHex(32)
	v := &visit{name: d.newName(), client: client, since: now, seen: now}
	v.ctx, v.end = context.WithCancel(context.Background())
	d.visits[hashID(id)] = v
	d.log.Info("a visitor came in", "client", client, "name", v.name)
	d.announce()
	return id, nil
}

func (d *VisitorDoor) leave(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(visitorCookie); err == nil {
		d.mu.Lock()
		if v := d.visits[hashID(c.Value)]; v != nil {
			v.end()
			delete(d.visits, hashID(c.Value))
		}
		d.mu.Unlock()
	}
	setCookie(w, r, visitorCookie, "", -1)
	http.Redirect(w, r, "/remote", http.StatusSeeOther)
}

// Visitors' names: a colour and a thing of Life.
var (
	visitorColours = []string{"Amber", "Azure", "Coral", "Emerald", "Golden", "Indigo", "Ivory", "Jade", "Lilac", "Ruby", "Saffron", "Silver", "Teal", "Violet"}
	visitorThings  = []string{"Acorn", "Beacon", "Beehive", "Blinker", "Boat", "Glider", "Loaf", "Pulsar", "Rabbit", "Toad", "Tumbler", "Weekender"}
)

// newName is a name that no visitor has. The caller holds mu.
func (d *VisitorDoor) newName() string {
	taken := map[string]bool{}
	for _, v := range d.visits {
		taken[v.name] = true
	}
	for {
		var b [2]byte
		_, _ = rand.Read(b[:]) // never fails
		name := visitorColours[int(b[0])%len(visitorColours)] + " " + visitorThings[int(b[1])%len(visitorThings)]
		if !taken[name] { // there are five times as many names as visitors
			return name
		}
	}
}

// Visitors lists who is in, the first comer first.
func (d *VisitorDoor) Visitors() []VisitInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	var list []VisitInfo
	for _, v := range d.visits {
		list = append(list, VisitInfo{v.name, clientName(v.client), d.uptime() - v.since})
	}
	slices.SortFunc(list, func(a, b VisitInfo) int { return int(b.Since - a.Since) })
	return list
}

// Bans lists who must not come in.
func (d *VisitorDoor) Bans() []BanInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []BanInfo
	for client, name := range d.bans {
		list = append(list, BanInfo{clientName(client), name})
	}
	slices.SortFunc(list, func(a, b BanInfo) int { return strings.Compare(a.Client, b.Client) })
	return list
}

// clientName is an address where the client is a single one.
func clientName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Frozen reports whether the owner let nobody in.
func (d *VisitorDoor) Frozen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.frozen
}

// Freeze takes everything out of the visitors' hands, or gives it back, and is on the
// disk when it returns without an error. It is done even where it cannot be kept.
func (d *VisitorDoor) Freeze(frozen bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen = frozen
	for _, v := range d.visits {
		if v.end(); !frozen {
			v.ctx, v.end = context.WithCancel(context.Background())
		}
	}
	if frozen {
		d.codes = nil // a photograph of one must not be good after the thaw
	}
	d.announce()
	return d.save()
}

// Ban ends the visit of that name, and lets nobody in from its address any more.
func (d *VisitorDoor) Ban(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for h, v := range d.visits {
		if v.name == name {
			if len(d.bans) >= maxBans {
				return fmt.Errorf("%d are banned already; lift some bans first", maxBans)
			}
			d.bans[v.client] = v.name
			v.end()
			delete(d.visits, h)
			d.log.Info("a visitor was banned", "client", v.client, "name", v.name)
			return d.save()
		}
	}
	return fmt.Errorf("%q is not here any more", name)
}

// Pardon lifts a ban.
func (d *VisitorDoor) Pardon(client string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := range d.bans {
		if clientName(p) == client {
			delete(d.bans, p)
			return d.save()
		}
	}
	return fmt.Errorf("%q is not banned", client)
}

// save writes what lasts. The caller holds mu.
func (d *VisitorDoor) save() error {
	rec := visitorsRecord{Frozen: d.frozen, Bans: map[string]string{}}
	for p, name := range d.bans {
		rec.Bans[p.String()] = name
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encoding the visitors' bans: %w", err)
	}
	return replaceFile(filepath.Join(d.dir, visitorsFile), append(data, '\n'), 0o600)
}
