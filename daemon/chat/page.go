package chat

import (
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
)

//go:embed page/*.html page/static
var pageFiles embed.FS

// newAssets are the page's script and style.
func newAssets() (*web.Assets, error) {
	files, err := fs.Sub(pageFiles, "page/static")
	if err != nil {
		return nil, err
	}
	return web.NewAssets("/static/chat/", files)
}

var templates = template.Must(template.New("").Funcs(web.Funcs()).Funcs(template.FuncMap{
	"linked":  linked,
	"hue":     hue,
	"initial": initial,
}).ParseFS(pageFiles, "page/*.html"))

// piece is a run of a text; Href is set where it is an address.
type piece struct{ Text, Href string }

// address finds what is surely one. What ends it in a sentence does not belong to it.
var address = regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,:;!?'()\[\]{}]`)

// linked parts a text at the addresses in it. chat.js does the same.
func linked(text string) []piece {
	var out []piece
	pos := 0
	for _, at := range address.FindAllStringIndex(text, -1) {
		if at[0] > pos {
			out = append(out, piece{Text: text[pos:at[0]]})
		}
		out = append(out, piece{text[at[0]:at[1]], text[at[0]:at[1]]})
		pos = at[1]
	}
	if pos < len(text) {
		out = append(out, piece{Text: text[pos:]})
	}
	return out
}

// hue is the colour of a name, 0 to 7. chat.js does the same.
func hue(name string) int {
	sum := 0
	for _, c := range utf16.Encode([]rune(name)) {
		sum += int(c)
	}
	return sum % 8
}

// initial is a name's first letter.
func initial(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return ""
}

func (s *Service) render(w http.ResponseWriter, r *http.Request, title, name string, data any) {
	w.Header().Set("Cache-Control", "no-store")
	s.look.Render(w, r, web.View{Title: title, Section: "/chat", Body: templates.Lookup(name), Data: data,
		Scripts: []string{s.assets.URL("chat.js")}, Styles: []string{s.assets.URL("chat.css")}})
}

// visitorName is the cookie with the name that a visitor gave last.
const visitorName = "sierpi_chat_name"

type roomData struct {
	Snapshot
	Name     string // of the visitor
	Key      string // for the form: sent twice, it posts once
	Owner    bool
	OnWall   bool
	Lobby    bool
	Rooms    []string
	Shown    []shownMessage
	Old      bool // a search or the past is shown, not what is said now
	Query    string
	Found    []shownMessage
	Earlier  int64 // the message before which there may be more; 0: none
	Silenced []Silenced
}

// shownMessage is a message with what its actions need.
type shownMessage struct {
	Message
	Room  string
	Owner bool
}

func (d roomData) shown(ms []Message) []shownMessage {
	out := make([]shownMessage, len(ms))
	for i, m := range ms {
		out[i] = shownMessage{m, d.Room, d.Owner}
	}
	return out
}

// before is the message before which there may be more.
func before(ms []Message) int64 {
	if len(ms) < snapshotLen {
		return 0
	}
	return ms[0].ID
}

func (s *Service) lobbyPage(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, Lobby)
}

func (s *Service) roomPage(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, r.PathValue("room"))
}

func (s *Service) show(w http.ResponseWriter, r *http.Request, name string) error {
	d := roomData{Key: rand.Text(), Owner: web.RoleOf(r) == web.Owner, Lobby: name == Lobby, Query: strings.TrimSpace(r.URL.Query().Get("q"))}
	t := token(w, r)
	var err error
	if d.Snapshot, err = s.Snapshot(r.Context(), name, authorOf(t)); err != nil {
		return err
	}
	if err := s.db.View(r.Context(), func(tx *store.Tx) error {
		rooms, err := readRooms(r.Context(), tx)
		for _, st := range rooms {
			d.Rooms = append(d.Rooms, st.name)
			d.OnWall = d.OnWall || st.name == name && st.wall
		}
		if err == nil && d.Owner {
			d.Silenced, err = silenced(r.Context(), tx)
		}
		return err
	}); err != nil {
		return err
	}
	past := r.URL.Query().Get("before")
	switch d.Old = d.Query != "" || past != ""; {
	case d.Query != "":
		found, err := s.find(r.Context(), name, d.Query, authorOf(t))
		if err != nil {
			return err
		}
		d.Found = d.shown(found)
	case past != "":
		id, err := strconv.ParseInt(past, 10, 64)
		if err != nil {
			return errMessage
		}
		found, err := s.earlier(r.Context(), name, id, authorOf(t))
		if err != nil {
			return err
		}
		d.Found, d.Earlier = d.shown(found), before(found)
	default:
		d.Shown, d.Earlier = d.shown(d.Messages), before(d.Messages)
	}
	if c, err := r.Cookie(visitorName); err == nil {
		if n, err := url.QueryUnescape(c.Value); err == nil {
			d.Name = cleanLine(n)
		}
	}
	s.render(w, r, "Chat: "+name, "room.html", d)
	return nil
}

func form(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		return &Failure{400, "the form could not be read", "a message has at most 2,000 bytes"}
	}
	return nil
}

// postForm is posting without a script.
func (s *Service) postForm(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	if err := s.allow(r); err != nil {
		return err
	}
	name := cleanLine(r.PostForm.Get("name"))
	if _, err := s.Post(r.Context(), r.PathValue("room"), writer(w, r), r.PostForm.Get("key"), name, r.PostForm.Get("text")); err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{Name: visitorName, Value: url.QueryEscape(name), Path: "/chat", MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/chat/"+r.PathValue("room")+"#end", http.StatusSeeOther)
	return nil
}

// changeForm edits or, with an empty text, deletes without a script.
func (s *Service) changeForm(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	if _, err := s.changed(w, r, r.PostForm.Get("text")); err != nil {
		return err
	}
	http.Redirect(w, r, "/chat/"+r.PathValue("room")+"#end", http.StatusSeeOther)
	return nil
}

func (s *Service) silenceForm(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return errMessage
	}
	if err := s.Silence(r.Context(), r.PathValue("room"), id, r.PostForm.Get("all") == "true"); err != nil {
		return err
	}
	http.Redirect(w, r, "/chat/"+r.PathValue("room"), http.StatusSeeOther)
	return nil
}

func (s *Service) unsilenceForm(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	if err := s.Unsilence(r.Context(), r.PostForm.Get("author")); err != nil {
		return err
	}
	http.Redirect(w, r, "/chat/"+r.PathValue("room"), http.StatusSeeOther)
	return nil
}

func (s *Service) createForm(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	name := strings.ToLower(strings.TrimSpace(r.PostForm.Get("room")))
	if err := s.CreateRoom(r.Context(), name); err != nil {
		return err
	}
	http.Redirect(w, r, "/chat/"+name, http.StatusSeeOther)
	return nil
}

func (s *Service) removeForm(w http.ResponseWriter, r *http.Request) error {
	if err := s.RemoveRoom(r.Context(), r.PathValue("room")); err != nil && !errors.Is(err, errRoom) {
		return err
	}
	http.Redirect(w, r, "/chat", http.StatusSeeOther)
	return nil
}

func (s *Service) wallForm(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	if err := s.ShowOnWall(r.Context(), r.PathValue("room"), r.PostForm.Get("show") == "true"); err != nil {
		return err
	}
	http.Redirect(w, r, "/chat/"+r.PathValue("room"), http.StatusSeeOther)
	return nil
}
