package imagebuild

import (
	"bytes"
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func TestImagerList(t *testing.T) {
	whole := digest{"sierpi.img", 1 << 30, [32]byte{0xaa}}
	packed := digest{"sierpi.img.xz", 1 << 28, [32]byte{0xbb}}
	var all bytes.Buffer
	for _, r := range recipes() {
		if r.Board != "pi" {
			continue
		}
		list, err := imagerList(r, tinyLock(r), "https://files.example/sierpi/", "/out", whole, packed)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(list)
		var doc struct {
			List []map[string]any `json:"os_list"`
		}
		if err := json.Unmarshal(list, &doc); err != nil {
			t.Fatal(err)
		}
		// Without one of these the Imager passes the entry over.
		for _, key := range []string{"name", "description", "icon", "url", "extract_size", "extract_sha256", "image_download_size", "release_date", "devices"} {
			if v, ok := doc.List[0][key]; !ok || v == "" || v == nil {
				t.Errorf("%s: %s is missing", r.Name(), key)
			}
		}
	}
	golden(t, "imager.json", all.Bytes())
	if _, err := imagerList(tinyRecipe(), tinyLock(tinyRecipe()), "files.example", "/out", whole, packed); err == nil {
		t.Error("an address without a scheme was taken")
	}
	local, err := imagerList(tinyRecipe(), tinyLock(tinyRecipe()), "", "/out/a b", whole, packed)
	if err != nil || !strings.Contains(string(local), `"file:///out/a%20b/sierpi.img.xz"`) {
		t.Errorf("without an address: %v\n%s", err, local)
	}
}

func TestBillOfMaterials(t *testing.T) {
	r := tinyRecipe()
	info := &debug.BuildInfo{GoVersion: "go1.26.1", Deps: []*debug.Module{
		{Path: "example.org/a", Version: "v1.0.0"},
		{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/new", Version: "v2.0.0"}},
	}}
	bill, err := billOfMaterials(r, tinyLock(r), digest{"sierpi.img", 1, [32]byte{0xaa}}, info)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "bill.cdx.json", bill)
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(bill), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if len(*bom.Components) != 3+3 {
		t.Errorf("%d components, expected three packages, two modules and Go's own", len(*bom.Components))
	}
	known := map[string]bool{bom.Metadata.Component.BOMRef: true}
	for _, c := range *bom.Components {
		if known[c.BOMRef] {
			t.Errorf("%s is there twice", c.BOMRef)
		}
		known[c.BOMRef] = true
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range append([]string{d.Ref}, *d.Dependencies...) {
			if !known[ref] {
				t.Errorf("%s depends on %s, which is not listed", d.Ref, ref)
			}
		}
	}
}
