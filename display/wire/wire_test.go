package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// vector is a sequence of messages to one screen, and what it must show after each.
// The JavaScript decoder's test (display/page) reads the same file.
type vector struct {
	Name     string       `json:"name"`
	Messages []vectorStep `json:"messages"`
}

type vectorStep struct {
	Message []byte `json:"message"`         // base64
	Error   bool   `json:"error,omitempty"` // the decoder must refuse it
	Number  uint32 `json:"number,omitempty"`
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"`
	Bits    int    `json:"bits,omitempty"`
	Cells   []byte `json:"cells,omitempty"`   // base64
	Palette []byte `json:"palette,omitempty"` // base64 of R, G, B
	Scene   string `json:"scene,omitempty"`
	Caption string `json:"caption,omitempty"`
	Hash    uint32 `json:"hash,omitempty"`
}

func good(msg []byte, f *Frame) vectorStep {
	return vectorStep{
		Message: msg, Number: f.Number, Width: f.Width, Height: f.Height, Bits: f.Bits, Cells: bytes.Clone(f.Cells),
		Palette: flat(f.Palette), Scene: f.Scene, Caption: f.Caption, Hash: f.Hash(),
	}
}

func flat(p []RGB) []byte {
	var out []byte
	for _, c := range p {
		out = append(out, c[:]...)
	}
	return out
}

func random(r *rand.Rand, n int, below int) []uint8 {
	out := make([]uint8, n)
	for i := range out {
		out[i] = uint8(r.IntN(below))
	}
	return out
}

func clone(f *Frame) *Frame {
	g := *f
	g.Cells = bytes.Clone(f.Cells)
	g.Palette = slices.Clone(f.Palette)
	return &g
}

func mustEncode(t testing.TB, base, cur *Frame) []byte {
	t.Helper()
	var e Encoder
	msg, err := e.Encode(base, cur)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// vectors makes the sequences. Everything is seeded: the file changes with the
// format only.
func vectors(t testing.TB) []vector {
	r := rand.New(rand.NewPCG(5, 8))
	var out []vector
	for bits := 1; bits <= 8; bits++ {
		for _, size := range [][2]int{{1, 1}, {8, 3}, {13, 7}, {65, 5}} {
			v := vector{Name: "random"}
			w, h := size[0], size[1]
			f := &Frame{Number: 1, Width: w, Height: h, Bits: bits, Cells: random(r, w*h, 1<<bits), Scene: "life", Caption: "Gänse · 雁"}
			for range 1 << bits {
				f.Palette = append(f.Palette, RGB(random(r, 3, 256)))
			}
			f.Ageing = random(r, 1<<bits, 1<<bits)
			v.Messages = append(v.Messages, good(mustEncode(t, nil, f), f))
			for range 4 {
				g := clone(f)
				g.Number++
				g.Age += uint32(r.IntN(4))
				table := aged(g.Ageing, int(g.Age-f.Age))
				for i := range g.Cells {
					g.Cells[i] = table[g.Cells[i]]
				}
				for range r.IntN(1 + w*h/4) {
					g.Cells[r.IntN(w*h)] = uint8(r.IntN(1 << bits))
				}
				if r.IntN(2) == 0 {
					g.Palette[0] = RGB(random(r, 3, 256))
				}
				if r.IntN(2) == 0 {
					g.Caption = "…"
				}
				v.Messages = append(v.Messages, good(mustEncode(t, f, g), g))
				f = g
			}
			out = append(out, v)
		}
	}

	plain := &Frame{Number: 7, Width: 320, Height: 40, Bits: 2, Cells: make([]uint8, 320*40)}
	out = append(out, vector{Name: "no palette, no labels, deflated", Messages: []vectorStep{good(mustEncode(t, nil, plain), plain)}})

	// What must be refused, each after a good key frame.
	small := &Frame{Number: 1, Width: 9, Height: 2, Bits: 3, Cells: random(r, 18, 8), Palette: []RGB{{1, 2, 3}}}
	key := mustEncode(t, nil, small)
	next := clone(small)
	next.Number = 2
	next.Cells[17] ^= 1
	diff := mustEncode(t, small, next)
	if diff[3]&flagDifference == 0 {
		t.Fatal("the small difference became a key frame")
	}
	bad := func(name string, of []byte, change func(m []byte) []byte) {
		out = append(out, vector{Name: name, Messages: []vectorStep{
			good(key, small), {Message: change(bytes.Clone(of)), Error: true},
			// Only a key frame helps after an error.
			{Message: diff, Error: true}, good(key, small),
		}})
	}
	set := func(at int, v byte) func([]byte) []byte {
		return func(m []byte) []byte { m[at] = v; return m }
	}
	bad("empty", key, func(m []byte) []byte { return nil })
	bad("short header", key, func(m []byte) []byte { return m[:17] })
	bad("not a frame", key, set(0, 'X'))
	bad("another version", key, set(2, 2))
	bad("unknown flag", key, set(3, 0x80|key[3]))
	bad("frame 0", key, set(4, 0))
	bad("key frame with a base", key, set(8, 1))
	bad("key frame with steps", key, set(17, 1))
	bad("no width", key, set(12, 0))
	bad("too large", key, func(m []byte) []byte { copy(m[12:16], []byte{0, 32, 0, 32}); return m })
	bad("no bits", key, set(16, 0))
	bad("nine bits", key, set(16, 9))
	bad("too many colours", key, set(18, 8))
	bad("cut in the palette", key, func(m []byte) []byte { return m[:20] })
	bad("cut in the planes", key, func(m []byte) []byte { return m[:len(m)-1] })
	bad("too long", key, func(m []byte) []byte { return append(m, 0) })
	bad("bits beyond the width", key, set(len(key)-1, 0x80))
	bad("labels not UTF-8", key, func([]byte) []byte {
		f := clone(small)
		f.Caption = "x"
		m := mustEncode(t, nil, f)
		m[bytes.IndexByte(m, 'x')] = 0xff
		return m
	})
	asBytes := func(n int, value byte) func(m []byte) []byte {
		return func(m []byte) []byte {
			m[3] |= flagBytes
			return append(m[:headerLen+4+3], bytes.Repeat([]byte{value}, n)...)
		}
	}
	bad("a byte beyond the bits", key, asBytes(18, 8))
	bad("too few bytes", key, asBytes(17, 7))
	bad("no bytes", key, asBytes(0, 0))
	bad("another base", diff, set(8, 9))
	bad("another size", diff, set(12, 8))
	bad("steps without a table", diff, set(17, 3))
	bad("too long a difference", diff, func(m []byte) []byte { return append(m, 1) })
	bad("cut difference", diff, func(m []byte) []byte { return m[:len(m)-1] })
	bad("a change of nothing", diff, set(len(diff)-1, 0))
	bad("an empty mask", diff, set(len(diff)-2, 0))
	bad("a word too many", diff, set(18, 0x80))
	bad("no deflate", plainDeflated(t), func(m []byte) []byte { m[18+1] ^= 0xff; return m })
	bomb := &Frame{Number: 1, Width: 4000, Height: 1000, Bits: 1, Cells: make([]uint8, 4000*1000)}
	bad("inflates too far", mustEncode(t, nil, bomb), func(m []byte) []byte { copy(m[12:16], []byte{8, 0, 8, 0}); return m })
	return out
}

func plainDeflated(t testing.TB) []byte {
	f := &Frame{Number: 1, Width: 64, Height: 64, Bits: 1, Cells: make([]uint8, 64*64)}
	msg := mustEncode(t, nil, f)
	// Its first payload byte follows the empty labels.
	return append(msg[:18:18], append([]byte{0, 0, 0}, bytes.Repeat([]byte{0xff}, 20)...)...)
}

var vectorFile = filepath.Join("testdata", "vectors.json")

func TestVectors(t *testing.T) {
	made := vectors(t)
	if *update {
		data, err := json.MarshalIndent(made, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var stored []vector
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	if len(stored) != len(made) {
		t.Errorf("%d vectors stored, %d made: run go test -update and think of the version", len(stored), len(made))
	}
	for i, v := range stored {
		var d Decoder
		for k, step := range v.Messages {
			f, err := d.Decode(step.Message)
			if step.Error {
				if err == nil {
					t.Errorf("vector %d (%s), message %d was accepted", i, v.Name, k)
				}
				continue
			}
			if err != nil {
				t.Errorf("vector %d (%s), message %d: %v", i, v.Name, k, err)
				break
			}
			if got := good(step.Message, f); !equalSteps(got, step) {
				t.Errorf("vector %d (%s), message %d decodes to something else than is stored", i, v.Name, k)
			}
		}
		// The encoder's bytes may differ with a newer deflate; the meaning may not.
		if i < len(made) && v.Name != made[i].Name {
			t.Errorf("vector %d is %q, the test makes %q", i, v.Name, made[i].Name)
		}
	}
}

func equalSteps(a, b vectorStep) bool {
	return a.Number == b.Number && a.Width == b.Width && a.Height == b.Height && a.Bits == b.Bits && bytes.Equal(a.Cells, b.Cells) &&
		bytes.Equal(a.Palette, b.Palette) && a.Scene == b.Scene && a.Caption == b.Caption && a.Hash == b.Hash
}

// TestAgeingIsFree is the reason for the table: a fading frame in which nothing happens costs
// next to nothing.
func TestAgeingIsFree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	f := &Frame{Number: 1, Width: 480, Height: 270, Bits: 7, Cells: random(r, 480*270, 128), Ageing: make([]uint8, 128)}
	for i := range f.Ageing {
		f.Ageing[i] = uint8(max(0, i-1))
	}
	for _, gap := range []uint32{1, 3, 12, 300} {
		g := clone(f)
		g.Number++
		g.Age += gap
		table := aged(f.Ageing, int(min(gap, 255)))
		for i, v := range g.Cells {
			g.Cells[i] = table[v]
		}
		if msg := mustEncode(t, f, g); len(msg) > headerLen {
			t.Errorf("%d frames of pure fading cost %d bytes", gap, len(msg))
		}
	}
}

func TestDecoderWantsItsBase(t *testing.T) {
	f := &Frame{Number: 1, Width: 8, Height: 64, Bits: 1, Cells: make([]uint8, 512)}
	g := clone(f)
	g.Number, g.Cells[3] = 2, 1
	var d Decoder
	if _, err := d.Decode(mustEncode(t, f, g)); err == nil || !strings.Contains(err.Error(), ErrBase.Error()) {
		t.Errorf("a difference without its base gives %v", err)
	}
}

func TestEncoderRefuses(t *testing.T) {
	for name, f := range map[string]*Frame{
		"number":  {Number: 0, Width: 1, Height: 1, Bits: 1, Cells: make([]uint8, 1)},
		"bits":    {Number: 1, Width: 1, Height: 1, Bits: 9, Cells: make([]uint8, 1)},
		"cells":   {Number: 1, Width: 2, Height: 1, Bits: 1, Cells: make([]uint8, 1)},
		"size":    {Number: 1, Width: 0, Height: 1, Bits: 1},
		"large":   {Number: 1, Width: 8192, Height: 8192, Bits: 1},
		"palette": {Number: 1, Width: 1, Height: 1, Bits: 1, Cells: make([]uint8, 1), Palette: make([]RGB, 3)},
		"ageing":  {Number: 1, Width: 1, Height: 1, Bits: 1, Cells: make([]uint8, 1), Ageing: []uint8{0, 2}},
		"caption": {Number: 1, Width: 1, Height: 1, Bits: 1, Cells: make([]uint8, 1), Caption: strings.Repeat("x", MaxCaption+1)},
	} {
		var e Encoder
		if _, err := e.Encode(nil, f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzDecode feeds the decoder what nobody made; whatever it accepts must survive
// being encoded and decoded again.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors(f) {
		if len(v.Messages) > 1 {
			f.Add(v.Messages[0].Message, v.Messages[1].Message)
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var d Decoder
		var base *Frame
		for _, msg := range [][]byte{first, second} {
			got, err := d.Decode(msg)
			if err != nil {
				continue
			}
			if len(got.Cells) > 1<<16 {
				return // good, but slow
			}
			if err := got.Check(); err != nil {
				t.Fatalf("decoded into an impossible frame: %v", err)
			}
			for i, v := range got.Cells {
				if int(v)>>got.Bits != 0 {
					t.Fatalf("cell %d is %d with %d bits", i, v, got.Bits)
				}
			}
			for _, b := range []*Frame{nil, base} {
				var again Decoder
				if b != nil {
					if _, err := again.Decode(mustEncode(t, nil, b)); err != nil {
						t.Fatal(err)
					}
				}
				twin, err := again.Decode(mustEncode(t, b, got))
				if err != nil {
					t.Fatalf("its own message: %v", err)
				}
				if !equalSteps(good(nil, twin), good(nil, got)) {
					t.Fatal("another frame came back")
				}
			}
			base = clone(got)
		}
	})
}

// FuzzRoundTrip encodes a difference between two frames made of the input.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint8(3), uint16(13), []byte("abcdefghijklmnopqrstuvwxyz"), []byte("abcdefghijklmnopqrstuvwxyz"), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, bits uint8, width uint16, was, is, table []byte) {
		depth, w := int(bits%8)+1, int(width%300)+1
		h := min(len(was), len(is)) / w
		if h == 0 || h > 200 {
			return
		}
		mask := uint8(1<<depth - 1)
		frame := func(n uint32, cells []byte) *Frame {
			g := &Frame{Number: n, Width: w, Height: h, Bits: depth, Cells: bytes.Clone(cells[:w*h])}
			for i := range g.Cells {
				g.Cells[i] &= mask
			}
			if len(table) > 0 {
				g.Ageing = make([]uint8, 1<<depth)
				for i := range g.Ageing {
					g.Ageing[i] = table[i%len(table)] & mask
				}
				g.Age = n
			}
			return g
		}
		a, b := frame(1, was), frame(1+uint32(len(table)), is)
		if b.Number == a.Number {
			b.Number++
		}
		var d Decoder
		if _, err := d.Decode(mustEncode(t, nil, a)); err != nil {
			t.Fatal(err)
		}
		got, err := d.Decode(mustEncode(t, a, b))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Cells, b.Cells) {
			t.Fatal("other cells came back")
		}
	})
}
