package cutout

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"os"
	"testing"
)

// tryLoad probes and decodes; what is beyond 64 MB is refused, as a budget would.
func tryLoad(file []byte) (*Picture, error) {
	r := bytes.NewReader(file)
	info, err := Probe(r)
	if err != nil {
		return nil, err
	}
	if info.Memory > 64e6 {
		return nil, &Refusal{"too large", "for a test"}
	}
	return Decode(r, info)
}

// FuzzFiles: whatever a file holds, it is cut or refused in words, without a panic, and
// what is decoded has the size that was probed.
func FuzzFiles(f *testing.F) {
	for _, name := range samples(f) {
		if file, err := os.ReadFile(name); err == nil && len(file) < 20_000 {
			f.Add(file)
		}
	}
	f.Add(bmpFile(bmpKind{header: 40, bits: 8, compression: 1, colors: 252}, 20, 5))
	f.Add(bmpFile(bmpKind{header: 12, bits: 4}, 20, 5))
	f.Add([]byte(pngHeader(100, 100)))
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := tryLoad(file)
		var refusal *Refusal
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		w, h := p.Size()
		if w != p.Info.Width || h != p.Info.Height || w*h > maxPixels {
			t.Fatalf("%d by %d, probed %d by %d", w, h, p.Info.Width, p.Info.Height)
		}
		if w*h > 1e6 {
			return // correct for the small ones, and quick
		}
		plan, err := p.Plan(t.Context(), Options{Tolerance: AutoTolerance, Border: true, Feather: 2})
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			return
		}
		if err := plan.WritePNG(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzOptions: what is read as options can be used, and is the same when it is read
// again; the rest is refused.
func FuzzOptions(f *testing.F) {
	for _, s := range []string{"", "color=%23fff&tolerance=12&border=on&feather=3&trim=1&size=100", "tolerance=auto&color=auto", "tolerance=-1", "size=99999999999", "color=fffffff", "border=maybe&x=%zz"} {
		f.Add(s)
	}
	p, err := tryLoad(bmpFile(bmpKind{header: 40, bits: 24}, 31, 9))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		o, err := ParseOptions(v)
		var refusal *Refusal
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			return
		}
		if err := o.Check(); err != nil {
			t.Fatalf("%+v is read and then refused: %v", o, err)
		}
		plan, err := p.Plan(t.Context(), o)
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			return
		}
		if err := plan.WritePNG(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
	})
}
