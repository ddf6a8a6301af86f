package daemon

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"time"

	"github.com/sierpi/sierpi/daemon/chat"
	"github.com/sierpi/sierpi/daemon/feed"
	"github.com/sierpi/sierpi/daemon/quotes"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/power"
)

//go:embed templates static
var files embed.FS

// headlines is how many titles fit a card.
const headlines = 5

// lines is how many messages fit a card.
const lines = 3

// cards gathers what the wall says beside its picture.
type cards struct {
	machine *machine
	quotes  *quotes.Service
	news    *feed.Service
	chat    *chat.Service
	notice  string
	state   string        // the folder
	address func() string // of the pages, for who stands before the wall
}

func (c cards) now(ctx context.Context) display.Cards {
	out := display.Cards{Time: true, Notice: cmp.Or(c.notice, storageNotice(c.state)), Machine: c.machine.card(ctx)}
	out.Machine.Address = c.address()
	if q, ok := c.quotes.OfTheHour(time.Now()); ok {
		out.Quote = &display.Quote{Text: q.Text, Author: q.Author}
	}
	for _, h := range c.news.Headlines(headlines) {
		out.Headlines = append(out.Headlines, display.Headline{Title: h.Title, Source: h.Source})
	}
	said, err := c.chat.OnWall(ctx, lines)
	if err != nil {
		return out // /healthz says why
	}
	for _, m := range said {
		out.Chat = append(out.Chat, display.ChatLine{Author: m.Name, Text: m.Text})
	}
	return out
}

// card is the machine as a card; what is not measured here is nil.
func (m *machine) card(ctx context.Context) *display.Machine {
	var card display.Machine
	if r, err := m.meter.Read(ctx); err == nil {
		card.Watts, card.Estimated = r.Watts, r.Estimate
	}
	if t, ok := power.Processor(power.Temperatures(m.root)); ok {
		card.Celsius = &t.Celsius
	}
	if mem, err := system.ReadMemory(m.root); err == nil {
		card.MemoryUsed, card.MemoryTotal = new(float64(mem.Total-mem.Available)), new(float64(mem.Total))
	}
	if u, err := m.idle.Utilisation(); err == nil {
		card.Busy = &u
	}
	if used, total := m.swap(); total > 0 {
		card.SwapUsed, card.SwapTotal = new(float64(used)), new(float64(total))
	}
	return &card
}

// pageMaker holds what the daemon's own two pages are made of.
type pageMaker struct {
	home, health *template.Template
	assets       *web.Assets
}

func newPageMaker() (*pageMaker, error) {
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	assets, err := web.NewAssets("/static/daemon/", static)
	if err != nil {
		return nil, err
	}
	parse := func(name string) (*template.Template, error) {
		return template.New(name).Funcs(web.Funcs()).Funcs(template.FuncMap{"ago": ago, "badge": badge}).ParseFS(files, "templates/"+name)
	}
	home, err := parse("home.html")
	if err != nil {
		return nil, err
	}
	health, err := parse("health.html")
	if err != nil {
		return nil, err
	}
	return &pageMaker{home: home, health: health, assets: assets}, nil
}

// fact is one line about the machine.
type fact struct{ Name, Value string }

func (m *pageMaker) homePage(p parts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.look.Render(w, r, web.View{
			Title: "Wall", Section: "/", Body: m.home,
			Data: struct {
				display.Cards
				Caption string
				Facts   []fact
			}{p.cards.now(r.Context()), p.stage.Status().Caption, p.cards.machine.facts(r.Context())},
			Styles:  []string{m.assets.URL("home.css")},
			Scripts: []string{m.assets.URL("home.js")},
		})
	})
}

func (m *pageMaker) healthPage(p parts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.look.Render(w, r, web.View{Title: "Health", Section: "/health", Body: m.health, Data: p.health.Report(r.Context())})
	})
}

// facts are the machine as the home page lists it; what it does not have is left out.
func (m *machine) facts(ctx context.Context) []fact {
	facts := []fact{{"Machine", m.board.String()}}
	c := m.card(ctx)
	if c.Watts != nil {
		word := ""
		if c.Estimated {
			word = " (estimated)"
		}
		facts = append(facts, fact{"Power", fmt.Sprintf("%.1f W%s", *c.Watts, word)})
	}
	if c.Celsius != nil {
		facts = append(facts, fact{"Temperature", fmt.Sprintf("%.0f °C", *c.Celsius)})
	}
	if c.Busy != nil {
		facts = append(facts, fact{"Processor", fmt.Sprintf("%.0f %%", 100**c.Busy)})
	}
	const mib = 1 << 20
	if c.MemoryTotal != nil {
		facts = append(facts, fact{"Memory", fmt.Sprintf("%.0f of %.0f MiB", *c.MemoryUsed/mib, *c.MemoryTotal/mib)})
	}
	if c.SwapTotal != nil {
		facts = append(facts, fact{"Swap", fmt.Sprintf("%.0f of %.0f MiB", *c.SwapUsed/mib, *c.SwapTotal/mib)})
	}
	return facts
}

// badge is the look's class for a state.
func badge(s State) string {
	switch s {
	case OK:
		return "ok"
	case Stale:
		return "warn"
	case Failed:
		return "bad"
	}
	return ""
}

// ago says how long ago something was, as people do.
func ago(t time.Time) string {
	d := time.Since(t)
	for _, unit := range []struct {
		span time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.span); n >= 1 {
			if n == 1 {
				return "1 " + unit.name + " ago"
			}
			return fmt.Sprintf("%d %ss ago", n, unit.name)
		}
	}
	return "just now"
}
