package framebuffer

import (
	"bytes"
	"encoding/binary"
	"flag"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"github.com/sierpi/sierpi/display/wire"
	"github.com/sierpi/sierpi/system/systemtest"
)

var pictures = flag.String("pictures", "", "write what the tests paint as PNG files into this folder")

// file is a framebuffer in a file.
func file(t testing.TB, geometry string) *Device {
	t.Helper()
	f, err := ParseFormat(geometry)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(filepath.Join(t.TempDir(), "fb"), f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// contents is the file read by other means than the mapping.
func contents(t testing.TB, d *Device) *image.RGBA {
	t.Helper()
	raw, err := os.ReadFile(d.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	img := image.NewRGBA(image.Rect(0, 0, d.Width, d.Height))
	for y := range d.Height {
		for x := range d.Width {
			p := raw[y*d.Stride+x*d.Bits/8:]
			var c color.RGBA
			if d.Bits == 16 {
				v := binary.LittleEndian.Uint16(p)
				c = color.RGBA{uint8(v >> 11 << 3), uint8(v >> 5 & 63 << 2), uint8(v & 31 << 3), 255}
			} else {
				c = color.RGBA{p[2], p[1], p[0], 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func save(t *testing.T, d *Device, name string) {
	t.Helper()
	if *pictures == "" {
		return
	}
	f, err := os.Create(filepath.Join(*pictures, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, contents(t, d)); err != nil {
		t.Fatal(err)
	}
}

func soup(width, height int, seed uint64) *wire.Frame {
	r := rand.New(rand.NewPCG(seed, 1))
	f := &wire.Frame{Number: 1, Width: width, Height: height, Bits: 2, Cells: make([]uint8, width*height),
		Palette: []wire.RGB{{5, 6, 12}, {224, 80, 90}, {240, 180, 100}, {90, 60, 140}}, Caption: "Conway’s Game of Life · a random soup"}
	for i := range f.Cells {
		if r.IntN(4) == 0 {
			f.Cells[i] = uint8(r.IntN(4))
		}
	}
	return f
}

func someCards() Cards {
	var c Cards
	c.Time = true
	doc := []byte(`{"type":"cards","cards":{"time":true,"quote":{"text":"The best way to predict the future is to grow it, one cell at a time, from very little.","author":"A. Gardener"},
	"machine":{"watts":2.1,"estimated":true,"celsius":48.2,"memoryUsed":150e6,"memoryTotal":430e6},
	"headlines":[{"title":"A release with a headline that is by far too long for one line of any screen that hangs on a wall","source":"Garden"},{"title":"Short","source":"Harbour"}]}}`)
	m, err := parseMessage(doc)
	if err != nil {
		panic(err)
	}
	return m.Cards
}

var lit = lamp{bright: 1} // by night

var noon = time.Date(2026, 11, 25, 12, 34, 0, 0, time.UTC)

// Every pixel is its cell's colour, on every size and depth.
func TestPaint(t *testing.T) {
	for _, geometry := range []string{"1280x1024x16", "800x480x16", "480x854x32", "1366x768x32", "320x240x16"} {
		t.Run(geometry, func(t *testing.T) {
			d := file(t, geometry)
			p := NewPainter(d)
			f := soup(480, 270, 1)
			p.Paint(f)
			img := contents(t, d)
			covered := 0
			for y := range f.Height {
				for x := range f.Width {
					want := f.Palette[f.Cells[y*f.Width+x]]
					r, g, b := d.unpack(d.pack(want[0], want[1], want[2]))
					area := p.fit.area(x, y, x+1, y+1)
					for py := area.Min.Y; py < area.Max.Y; py++ {
						for px := area.Min.X; px < area.Max.X; px++ {
							covered++
							if got := img.RGBAAt(px, py); got != (color.RGBA{r, g, b, 255}) {
								t.Fatalf("pixel %d,%d of cell %d,%d is %v, want %v", px, py, x, y, got, want)
							}
						}
					}
				}
			}
			if size := p.picture().Size(); covered != size.X*size.Y || d.Width > d.Height && d.Width >= f.Width && covered != d.Width*d.Height {
				t.Errorf("%d pixels are covered, the picture is %v, the screen %dx%d", covered, size, d.Width, d.Height)
			}
			hash, blank, wrong := p.readBack()
			if wrong != 0 || blank || hash != f.Hash() {
				t.Errorf("read back: hash %08x, want %08x; blank %v; %d cells wrong", hash, f.Hash(), blank, wrong)
			}
		})
	}
}

// Painting what changed gives the very picture that painting everything gives,
// cards and all.
func TestDamageIsEnough(t *testing.T) {
	for _, geometry := range []string{"1280x720x32", "800x480x16", "480x854x32"} {
		t.Run(geometry, func(t *testing.T) {
			d := file(t, geometry)
			p := NewPainter(d)
			tab, err := newTable(d.Width, d.Height)
			if err != nil {
				t.Fatal(err)
			}
			f := soup(240, 135, 2)
			r := rand.New(rand.NewPCG(3, 4))
			cards := someCards()
			var last []*plate
			for step := range 10 {
				now := noon.Add(time.Duration(step) * 15 * time.Second)
				if step%3 == 0 {
					f.Caption = []string{"one", "another caption that is longer", ""}[step/3%3]
				}
				if step == 5 {
					f.Palette[1] = wire.RGB{1, 200, 3}
				}
				over := lit
				if step >= 6 { // another ground, beside the picture too
					f.Palette[0] = wire.RGB{244, 241, uint8(150 + 10*step)}
					over.day = true
				}
				if step == 8 {
					cards.Machine, cards.Notice = nil, "The config has a mistake."
				}
				plates, err := tab.plates(laid{lamp: over, cards: cards, caption: f.Caption}, now)
				if err != nil {
					t.Fatal(err)
				}
				p.setPlates(plates)
				last = plates
				for range 20 {
					f.Cells[r.IntN(len(f.Cells))] = uint8(r.IntN(4))
				}
				f.Number++
				p.Paint(f)
			}
			fresh := file(t, geometry)
			q := NewPainter(fresh)
			q.setPlates(last)
			q.Paint(f)
			a, b := contents(t, d), contents(t, fresh)
			for i := range a.Pix {
				if a.Pix[i] != b.Pix[i] {
					t.Fatalf("byte %d differs: pixel %d,%d", i, i/4%d.Width, i/4/d.Width)
				}
			}
			save(t, d, "framebuffer-"+geometry)
		})
	}
}

// One changed cell costs one tile; a frame in which nothing happens costs nothing.
func TestOnlyDamagedTiles(t *testing.T) {
	p := NewPainter(file(t, "1920x1080x32"))
	f := soup(480, 270, 1)
	p.Paint(f)
	if painted, all := p.Tiles(); painted != all || all != 30*34 {
		t.Errorf("the first frame: %d of %d tiles", painted, all)
	}
	p.Paint(f)
	if painted, _ := p.Tiles(); painted != 0 {
		t.Errorf("the same frame: %d tiles", painted)
	}
	f.Cells[100*480+200] ^= 1
	p.Paint(f)
	if painted, _ := p.Tiles(); painted != 1 {
		t.Errorf("one cell: %d tiles", painted)
	}
	f.Palette[0] = wire.RGB{9, 9, 9}
	p.Paint(f)
	if painted, all := p.Tiles(); painted != all {
		t.Errorf("another palette: %d of %d tiles", painted, all)
	}
}

// What something else paints over the picture is found by reading back.
func TestReadBack(t *testing.T) {
	d := file(t, "960x540x32")
	p := NewPainter(d)
	f := soup(480, 270, 1)
	p.Paint(f)
	for y := 200; y < 240; y++ {
		for x := 4 * 100; x < 4*600; x++ {
			d.pix[y*d.Stride+x] = 0xff
		}
	}
	if hash, blank, wrong := p.readBack(); wrong < 1000 || hash == f.Hash() || blank {
		t.Errorf("%d cells are wrong, blank %v", wrong, blank)
	}
	clear(d.pix)
	if _, blank, wrong := p.readBack(); wrong == 0 || !blank {
		t.Errorf("a black screen: blank %v, %d wrong", blank, wrong)
	}
	p.Damage()
	p.Paint(f)
	if hash, _, wrong := p.readBack(); wrong != 0 || hash != f.Hash() {
		t.Errorf("painted again: %d wrong", wrong)
	}
}

// Text stays on the screen and off its middle.
func TestCardsKeepToTheEdges(t *testing.T) {
	for _, size := range []image.Point{{1920, 1080}, {800, 480}, {1024, 768}} {
		tab, err := newTable(size.X, size.Y)
		if err != nil {
			t.Fatal(err)
		}
		for turn := range 2 {
			plates, err := tab.plates(laid{lamp: lit, cards: someCards(), caption: "Conway’s Game of Life · a random soup"}, noon.Add(time.Duration(turn)*20*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if len(plates) != 4 {
				t.Errorf("%v: %d cards", size, len(plates))
			}
			middle := image.Rect(size.X*2/5, size.Y*2/5, size.X*3/5, size.Y*3/5)
			for _, pl := range plates {
				if !pl.area.In(image.Rectangle{Max: size}) {
					t.Errorf("%v: a card at %v", size, pl.area)
				}
				if pl.area.Overlaps(middle) && pl.darkens(middle) {
					t.Errorf("%v: the card at %v is over the middle", size, pl.area)
				}
			}
		}
	}
}

// A code of the daemon's is read by a real reader off the screen, on every shape of it, and
// no letter lies over it.
func TestInvitation(t *testing.T) {
	zbar := systemtest.Tool(t, "zbarimg", "zbar-tools")
	const address = "HTTP://192.168.178.123:8080/JOIN/ABCDEFGHJKMNPQRS"
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	inv := &invitation{Side: code.Size, Modules: make([]byte, (code.Size*code.Size+7)/8)}
	for y := range code.Size {
		for x := range code.Size {
			if n := y*code.Size + x; code.Black(x, y) {
				inv.Modules[n/8] |= 1 << (n % 8)
			}
		}
	}
	for i, geometry := range []string{"1920x1080x32", "1280x720x32", "800x480x16", "480x854x32", "1920x1080x32", "1280x720x32", "800x480x16", "480x854x32"} {
		now, picture := lit, soup(240, 135, 2)
		if i >= 4 {
			now.day = true
			picture.Palette = []wire.RGB{{0xf4, 0xf1, 0xe7}, {0xb0, 0x30, 0x38}, {0x6a, 0x34, 0x14}, {0xd0, 0x7c, 0x78}}
			geometry += "-day"
		}
		t.Run(geometry, func(t *testing.T) {
			d := file(t, strings.TrimSuffix(geometry, "-day"))
			p := NewPainter(d)
			tab, err := newTable(d.Width, d.Height)
			if err != nil {
				t.Fatal(err)
			}
			plates, err := tab.plates(laid{lamp: now, cards: someCards(), invited: inv, caption: "Conway’s Game of Life · a random soup"}, noon)
			if err != nil {
				t.Fatal(err)
			}
			p.setPlates(plates)
			p.Paint(picture)
			name := filepath.Join(t.TempDir(), "screen.png")
			f, err := os.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := png.Encode(f, contents(t, d)); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(zbar, "-q", "--raw", name).Output()
			if err != nil || strings.TrimSpace(string(out)) != address {
				t.Errorf("the reader finds %q (%v)", out, err)
			}
			save(t, d, "invitation-"+geometry)
		})
	}
}

// What a visitor is about to draw lies over the picture in the visitor's colour, and
// leaves it as it was.
func TestGhosts(t *testing.T) {
	d := file(t, "960x540x32")
	p := NewPainter(d)
	f := soup(240, 135, 2)
	p.Paint(f)
	before := contents(t, d)
	g := ghost{Who: "Ada", Cells: []int32{100, 60, 101, 60, 239, 134, 500, 2}}
	pl := g.plate(p.fit, f.Width, f.Height, false)
	p.setPlates([]*plate{pl})
	f.Number++
	p.Paint(f)
	if got := contents(t, d).RGBAAt(100*4+2, 60*4+2); got != g.colour(false) {
		t.Errorf("the ghost's cell is %v, not %v", got, g.colour(false))
	}
	if got, was := contents(t, d).RGBAAt(150*4+2, 90*4+2), before.RGBAAt(150*4+2, 90*4+2); got != was {
		t.Errorf("beside it there is %v, and was %v", got, was)
	}
	save(t, d, "ghost")
	p.setPlates(nil)
	f.Number++
	p.Paint(f)
	if !bytes.Equal(contents(t, d).Pix, before.Pix) {
		t.Error("the ghost left something behind")
	}
}

// darkens reports whether the plate takes away more than a fifth of what is below a part of it.
func (pl *plate) darkens(part image.Rectangle) bool {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if at := image.Pt(x, y); at.In(pl.area) {
				if 255-pl.at(x, y)>>24 > 51 {
					return true
				}
			}
		}
	}
	return false
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(plain, Format{}); err == nil {
		t.Error("a plain file of no geometry was opened")
	}
	if _, err := Open(filepath.Join(dir, "absent"), Format{}); err == nil {
		t.Error("an absent file was opened")
	}
	if _, err := Open("/dev/null", Format{}); err == nil {
		t.Error("/dev/null was opened")
	}
	for _, s := range []string{"", "1920x1080", "1920x1080x24", "0x0x32", "63x64x32", "99999x1x16", "-1x64x32"} {
		if f, err := ParseFormat(s); err == nil {
			t.Errorf("%q is %+v", s, f)
		}
	}
}

func FuzzParseFormat(f *testing.F) {
	f.Add("1920x1080x32")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParseFormat(s); err == nil && got.Check() != nil {
			t.Errorf("%q is %+v", s, got)
		}
	})
}

// FuzzCards feeds the cards what nobody sent.
func FuzzCards(f *testing.F) {
	f.Add([]byte(`{"type":"cards","cards":{"time":true,"quote":{"text":"a\nb","author":"c"},"headlines":[{"title":"t"}],"notice":"n"}}`), uint16(800), uint16(480))
	f.Add([]byte(`{"type":"invitation","invitation":{"side":21,"modules":"AAAA"}}`), uint16(800), uint16(480))
	f.Add([]byte(`{"type":"ghosts","ghosts":[{"who":"Ada","cells":[3,4,-5,1000000,7]}]}`), uint16(800), uint16(480))
	tables := map[image.Point]*table{}
	f.Fuzz(func(t *testing.T, doc []byte, w, h uint16) {
		m, err := parseMessage(doc)
		if err != nil {
			return
		}
		size := image.Pt(64+int(w)%700, 64+int(h)%700)
		tab := tables[size]
		if tab == nil {
			if tab, err = newTable(size.X, size.Y); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := tab.plates(laid{lamp{m.Day, m.Bright}, m.Cards, m.Invitation, m.Type, "sign"}, noon); err != nil {
			t.Fatal(err)
		}
		for _, g := range m.Ghosts {
			if pl := g.plate(newFit(size.X, size.Y, 48, 27), 48, 27, m.Day); pl != nil && !pl.area.In(image.Rectangle{Max: size}) {
				t.Fatalf("a ghost at %v", pl.area)
			}
		}
	})
}

// The cost of a frame as Life goes, with all cards over it.
func BenchmarkPaint(b *testing.B) {
	for _, geometry := range []string{"1920x1080x32", "1280x720x16"} {
		b.Run(geometry, func(b *testing.B) {
			d := file(b, geometry)
			p := NewPainter(d)
			tab, err := newTable(d.Width, d.Height)
			if err != nil {
				b.Fatal(err)
			}
			plates, err := tab.plates(laid{lamp: lit, cards: someCards(), caption: "Life"}, noon)
			if err != nil {
				b.Fatal(err)
			}
			p.setPlates(plates)
			frames := []*wire.Frame{soup(480, 270, 1), soup(480, 270, 2)}
			for i := range frames[1].Cells { // a twentieth of the cells change
				if i%20 != 0 {
					frames[1].Cells[i] = frames[0].Cells[i]
				}
			}
			for i := 0; b.Loop(); i++ {
				p.Paint(frames[i%2])
			}
		})
	}
}

// TestContrast measures the text against what is behind it, at each pixel of a letter, by
// night and by day, lit and dimmed. The picture below is a zoom's edge: half ground and half what
// stands out most from it, which is more than any scene has behind a whole card.
func TestContrast(t *testing.T) {
	const unit = 10.8 // of a screen of 1920x1080
	for _, c := range []struct {
		name         string
		lamp         lamp
		picture      [2]color.RGBA
		usual, worst float64 // contrast, WCAG 2.2
	}{
		{"night", lamp{bright: 1}, [2]color.RGBA{{0x05, 0x06, 0x0c, 255}, {0xe6, 0xf2, 0xc8, 255}}, 7, 3},
		{"day", lamp{true, 1}, [2]color.RGBA{{0xf4, 0xf1, 0xe7, 255}, {0x2c, 0x22, 0x5a, 255}}, 7, 3},
		{"day, dimmed", lamp{true, 0.5}, [2]color.RGBA{{0x88, 0x86, 0x80, 255}, {0x16, 0x12, 0x30, 255}}, 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			letters, err := newTypesetter()
			if err != nil {
				t.Fatal(err)
			}
			st := c.lamp.style()
			tab := &table{letters: letters}
			var usual, worst []float64
			for i, lines := range [][]line{machineLines(someCards(), st, unit), tab.story(someCards(), st, unit, noon), tab.story(someCards(), st, unit, noon.Add(storyTime))} {
				plate := func(lines []line) *plate {
					pl, err := letters.draw(set{width: 1000, at: anchor{bottom: i > 0}, lines: lines}, c.lamp, image.Pt(1920, 1080), unit, 4.2*unit, image.Point{})
					if err != nil {
						t.Fatal(err)
					}
					return pl
				}
				bare := make([]line, len(lines))
				for k, l := range lines {
					bare[k] = line{space: l.space}
					for _, r := range l.runs {
						r.colour = color.RGBA{}
						bare[k].runs = append(bare[k].runs, r)
					}
				}
				text, ground := plate(lines), plate(bare)
				var each []float64
				for at, p := range text.pix {
					if p>>24 != 0 || p == ground.pix[at] {
						continue // not the whole of a letter
					}
					below := c.picture[(at/text.area.Dx()/20+at%text.area.Dx()/20)%2]
					behind := over(ground.pix[at], uint32(below.R)|uint32(below.G)<<8|uint32(below.B)<<16)
					each = append(each, contrast(p, behind))
				}
				if len(each) < 500 {
					t.Fatalf("card %d: %d pixels of letters", i, len(each))
				}
				slices.Sort(each)
				usual, worst = append(usual, each[len(each)/2]), append(worst, each[len(each)/50])
			}
			t.Logf("the median over each card's letters %.1f, their worst fiftieth %.1f", usual, worst)
			if slices.Min(usual) < c.usual || slices.Min(worst) < c.worst {
				t.Errorf("contrast %.1f, wanted %.1f; at the worst fiftieth %.1f, wanted %.1f", slices.Min(usual), c.usual, slices.Min(worst), c.worst)
			}
		})
	}
}

// contrast is that of WCAG 2.2, 1 to 21, of two colours as packed by rgb.
func contrast(a, b uint32) float64 {
	light := func(c uint32) (l float64) {
		for i, share := range [3]float64{0.2126, 0.7152, 0.0722} {
			v := float64(uint8(c>>(8*i))) / 255
			if v <= 0.04045 {
				l += share * v / 12.92
			} else {
				l += share * math.Pow((v+0.055)/1.055, 2.4)
			}
		}
		return l + 0.05
	}
	x, y := light(a), light(b)
	return max(x, y) / min(x, y)
}
