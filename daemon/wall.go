package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/page"
)

// timetable hands the config's hours to the stage.
func timetable(cfg config.Display) display.Timetable {
	hours := func(s string) display.Hours {
		from, to, _ := config.ParseHours(s) // checked when it was loaded
		return display.Hours{From: from, To: to}
	}
	t := display.Timetable{Night: hours(cfg.Night), Brightness: float64(cfg.NightBrightness) / 100, Off: hours(cfg.ScreensOff), Colours: display.Colours(cfg.Colours)}
	for _, p := range cfg.Programmes {
		t.Programmes = append(t.Programmes, display.Programme{Hours: hours(p.Hours), Scenes: p.Scenes, Dwell: time.Duration(p.Dwell)})
	}
	return t
}

// wallOutputs hands the config's outputs to the stage.
func wallOutputs(cfg config.Display) ([]display.Output, error) {
	var out []display.Output
	for _, o := range cfg.Outputs {
		v, err := display.ParseViewport(o.View)
		if err != nil {
			return nil, fmt.Errorf("the output %s: %w", o.Name, err)
		}
		out = append(out, display.Output{Name: o.Name, View: v})
	}
	return out, nil
}

// wallRoutes are the pages about the one universe: the remote, the gallery, the owner's.
func wallRoutes(look *web.Look, stage *display.Stage, visitors *web.VisitorDoor, soups *gallery) ([]web.Route, error) {
	who := func(r *http.Request) string {
		if web.RoleOf(r) == web.Owner {
			return "The owner"
		}
		return visitors.Name(r)
	}
	var scenes []page.Choice
	for _, name := range display.SceneNames() {
		scenes = append(scenes, page.Choice{Name: name, Title: sceneTitle(name)})
	}
	remotes := display.NewRemotes(stage, who)
	return page.WallRoutes(page.WallOptions{
		Look: look, Scenes: scenes,
		Visitor: who, Frozen: visitors.Frozen, Remote: remotes.ServeRemote,
		Soups: soups.list, Picture: soups.picture,
		Show:  func(ctx context.Context, id int64) (bool, error) { return soups.show(ctx, stage, id) },
		Owner: func(context.Context) page.OwnerView { return ownerView(stage, visitors) },
		Act:   func(_ context.Context, form url.Values) error { return ownerAct(stage, visitors, form) },
	})
}

// sceneTitle is what people call a scene.
func sceneTitle(name string) string {
	switch name {
	case "life":
		return "Life"
	case "line":
		return "A line grows"
	case "snake":
		return "Snake"
	}
	for _, s := range display.PageScenes() {
		if s.Name == name {
			return s.Title
		}
	}
	return name
}

func ownerView(stage *display.Stage, visitors *web.VisitorDoor) page.OwnerView {
	status := stage.Status()
	v := page.OwnerView{
		Caption: status.Caption, Scene: status.Scene, Bright: int(100*status.Bright + 0.5),
		Colours: string(status.Colours), Day: status.Day, Nights: status.Nights, Hold: stage.Held(), Frozen: visitors.Frozen(),
	}
	if e := status.Economy; e.Pace > 1 || e.Coarse > 1 {
		v.Saving = "every " + ordinal(e.Pace) + " frame"
		if e.Coarse > 1 {
			v.Saving += ", half the resolution"
		}
	}
	for _, s := range status.Screens {
		if !s.Kiosk && s.State != display.Gone {
			v.VisitingScreens++
		}
	}
	for _, o := range stage.Outputs() {
		out := page.OwnerOutput{Name: o.Name, View: o.View, State: string(o.State), Trouble: o.Trouble, Power: string(o.Power), Asked: o.On, Rate: o.Rate, Bad: !o.State.Healthy(true)}
		if o.ReadBack != nil {
			out.ReadBack = map[bool]string{true: "lit", false: "dark"}[*o.ReadBack]
		}
		v.Outputs = append(v.Outputs, out)
	}
	for _, i := range visitors.Visitors() {
		v.Visitors = append(v.Visitors, page.OwnerVisitor{Name: i.Name, Client: i.Client, Since: ago(time.Now().Add(-i.Since))})
	}
	for _, b := range visitors.Bans() {
		v.Bans = append(v.Bans, page.OwnerVisitor{Name: b.Name, Client: b.Client})
	}
	return v
}

func ordinal(n int) string {
	switch n {
	case 1:
		return "1st"
	case 2:
		return "2nd"
	case 3:
		return "3rd"
	}
	return strconv.Itoa(n) + "th"
}

// ownerAct does what a form of the owner's page asks for.
func ownerAct(stage *display.Stage, visitors *web.VisitorDoor, form url.Values) error {
	input := func(err error) error {
		if err != nil {
			return &page.InputError{Err: err}
		}
		return nil
	}
	switch do := form.Get("do"); do {
	case "freeze":
		return visitors.Freeze(true)
	case "thaw":
		return visitors.Freeze(false)
	case "takeback":
		stage.TakeBack()
		return nil
	case "clear":
		return input(stage.Renew())
	case "scene":
		return input(stage.Steer("scene", form.Get("scene"), false))
	case "next":
		return input(stage.Steer("next", "", false))
	case "hold", "release":
		return input(stage.Steer("hold", "", do == "hold"))
	case "colours":
		return input(stage.SetColours(display.Colours(form.Get("colours"))))
	case "power":
		return input(stage.SetPower(form.Get("output"), display.Power(form.Get("power"))))
	case "ban":
		return input(visitors.Ban(form.Get("visitor")))
	case "pardon":
		return input(visitors.Pardon(form.Get("client")))
	default:
		return input(fmt.Errorf("%q is nothing that the wall can do", do))
	}
}

// inviter shows the visitors' code on the machine's own screens, the next one in time.
type inviter struct {
	door    *web.VisitorDoor
	stage   *display.Stage
	address func() string // host, and port if need be
	log     *slog.Logger
}

// String names the task.
func (i *inviter) String() string { return "invitation" }

// Run goes on until the context ends.
func (i *inviter) Run(ctx context.Context) error {
	for {
		code, left, changed := i.door.Code()
		if err := i.show(code); err != nil {
			i.log.Error("the visitors' code cannot be shown", "err", err)
		}
		next := time.NewTimer(left)
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-changed:
		case <-next.C:
		}
		next.Stop()
	}
}

func (i *inviter) show(code string) error {
	address := i.address()
	if code == "" || address == "" {
		return i.stage.Invite(nil)
	}
	inv, err := invitation("http://" + address + web.JoinPath + code)
	if err != nil {
		return err
	}
	return i.stage.Invite(inv)
}

// invitation is an address as a QR code. Capitals and digits alone take a third less room; host
// names do not care.
func invitation(address string) (*display.Invitation, error) {
	upper := strings.ToUpper(address)
	code, err := qr.Encode(upper, qr.M)
	if err != nil {
		return nil, fmt.Errorf("drawing the visitors' code: %w", err)
	}
	inv := &display.Invitation{URL: address, Side: code.Size, Modules: make([]byte, (code.Size*code.Size+7)/8)}
	for y := range code.Size {
		for x := range code.Size {
			if n := y*code.Size + x; code.Black(x, y) {
				inv.Modules[n/8] |= 1 << (n % 8)
			}
		}
	}
	return inv, nil
}

// visitorAddress finds out under which address a phone on the same network reaches the
// pages: the one of the config, that of a listener, or this machine's own. A name would not do:
// many phones do not know .local. It is asked again and again, for the network may come late.
func visitorAddress(configured string, listeners []net.Listener) func() string {
	return func() string {
		if configured != "" {
			return configured
		}
		for _, l := range listeners {
			ap, err := netip.ParseAddrPort(l.Addr().String())
			if err != nil {
				continue
			}
			addr := ap.Addr().Unmap()
			if addr.IsUnspecified() {
				if addr = ownAddress(); !addr.IsValid() {
					continue
				}
			}
			if ap.Port() == 80 {
				if addr.Is6() {
					return "[" + addr.String() + "]"
				}
				return addr.String()
			}
			return netip.AddrPortFrom(addr, ap.Port()).String()
		}
		return ""
	}
}

// ownAddress is this machine's address on its network, an IPv4 one if it has any; the zero value while it has
// none.
func ownAddress() netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	var found []netip.Addr
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if addr := p.Addr().Unmap(); addr.IsGlobalUnicast() {
			found = append(found, addr)
		}
	}
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return rankAddress(a) - rankAddress(b) })
	if len(found) == 0 {
		return netip.Addr{}
	}
	return found[0]
}

func rankAddress(a netip.Addr) int {
	switch {
	case a.Is4() && a.IsPrivate():
		return 0
	case a.Is4():
		return 1
	}
	return 2
}
