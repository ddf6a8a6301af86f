package imagebuild

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// describe compresses an image and writes what is published beside it: the block
// map, the list for Raspberry Pi Imager, the bill of materials and the checksums.
// The same image is described by the same bytes.
func describe(ctx context.Context, o Options, lock Lock, image string) ([]string, error) {
	name := strings.TrimSuffix(image, ".img")
	c := command{}
	// Two threads and blocks of one size: what comes out follows neither the number of
	// CPUs nor the memory. Old Imagers unpack xz, not zstd.
	if _, err := c.run(ctx, "xz", "--keep", "--force", "--threads=2", "--block-size=16MiB", "-6", "--quiet", image); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if _, err := c.run(ctx, "bmaptool", "create", "--output", name+".bmap", image); err != nil {
		return nil, fmt.Errorf("block map: %w", err)
	}
	whole, err := digestFile(image)
	if err != nil {
		return nil, err
	}
	packed, err := digestFile(image + ".xz")
	if err != nil {
		return nil, err
	}
	files := []string{image + ".xz", name + ".bmap"}
	if o.Recipe.Board == "pi" {
		list, err := imagerList(o.Recipe, lock, o.ReleaseAddress, filepath.Dir(image), whole, packed)
		if err != nil {
			return nil, err
		}
		if err := writeFile(name+".imager.json", list, 0o644); err != nil {
			return nil, err
		}
		files = append(files, name+".imager.json")
	}
	modules, err := goModules(ctx, Cache{o.Cache}, lock)
	if err != nil {
		return nil, err
	}
	bill, err := billOfMaterials(o.Recipe, lock, whole, modules)
	if err != nil {
		return nil, err
	}
	if err := writeFile(name+".cdx.json", bill, 0o644); err != nil {
		return nil, err
	}
	files = append(files, name+".cdx.json")

	// In the form that `sha256sum --check` reads.
	sums := fmt.Sprintf("%x  %s\n%x  %s\n", whole.sum, filepath.Base(image), packed.sum, filepath.Base(image+".xz"))
	for _, f := range append(files[1:], name+".lock") {
		d, err := digestFile(f)
		if err != nil {
			return nil, err
		}
		sums += fmt.Sprintf("%x  %s\n", d.sum, filepath.Base(f))
	}
	if err := writeFile(name+".sha256", []byte(sums), 0o644); err != nil {
		return nil, err
	}
	return append(files, name+".sha256"), nil
}

// digest is a file's size and SHA-256.
type digest struct {
	name string
	size int64
	sum  [32]byte
}

func digestFile(path string) (digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return digest{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return digest{filepath.Base(path), n, [32]byte(h.Sum(nil))}, nil
}

// imagerImage is one entry of Raspberry Pi Imager's list of systems.
type imagerImage struct {
	Name                string   `json:"name"`
	Description         string   `json:"description"`
	Icon                string   `json:"icon"`
	URL                 string   `json:"url"`
	Website             string   `json:"website"`
	ReleaseDate         string   `json:"release_date"`
	ExtractSize         int64    `json:"extract_size"`
	ExtractSHA256       string   `json:"extract_sha256"` // of the uncompressed image; the Imager refuses another
	ImageDownloadSize   int64    `json:"image_download_size"`
	ImageDownloadSHA256 string   `json:"image_download_sha256"`
	BmapURL             string   `json:"bmap_url,omitempty"`
	Devices             []string `json:"devices"`
	InitFormat          string   `json:"init_format"`
	Architecture        string   `json:"architecture"`
}

// imagerDevices are the Imager's tags for the boards that a recipe claims.
func imagerDevices(boards []string, arch string) []string {
	tags := map[string][2]string{ // 64 and 32 bits
		"pi5": {"pi5-64bit", "pi5-32bit"}, "pi4": {"pi4-64bit", "pi4-32bit"}, "pi400": {"pi4-64bit", "pi4-32bit"}, "cm4": {"pi4-64bit", "pi4-32bit"},
		"pi3": {"pi3-64bit", "pi3-32bit"}, "pi3+": {"pi3-64bit", "pi3-32bit"}, "pi02": {"pi3-64bit", "pi3-32bit"},
		"pi2": {"", "pi2-32bit"}, "pi1": {"", "pi1-32bit"}, "pi0": {"", "pi1-32bit"}, "pi0w": {"", "pi1-32bit"},
	}
	bits := 1
	if arch == "arm64" {
		bits = 0
	}
	var out []string
	for _, b := range boards {
		if tag := tags[b][bits]; tag != "" && !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	slices.Sort(out)
	return out
}

// imagerList is what `rpi-imager --repo` reads. Without an address it names the files
// where they lie, for the Imager on this machine.
func imagerList(r Recipe, lock Lock, address, dir string, whole, packed digest) ([]byte, error) {
	at := func(name string) string { return strings.TrimRight(address, "/") + "/" + name }
	if address == "" {
		at = func(name string) string {
			return (&url.URL{Scheme: "file", Path: filepath.Join(dir, name)}).String()
		}
	} else if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("--release-address %q: write the address that the files will be found below, as https://example.org/sierpi", address)
	}
	architecture := map[string]string{"arm64": "armv8", "armhf": "armv6", "armel": "armv6"}[r.Arch]
	entry := imagerImage{
		Name:          fmt.Sprintf("sierpi %s (%s, %s)", r.Variant, map[bool]string{true: "64-bit", false: "32-bit"}[r.Arch == "arm64"], map[string]string{"debian": "Debian", "raspios": "Raspberry Pi OS"}[r.Base]),
		Description:   "Life and Sierpinski's triangle, feed, quotes, chat and cut-outs, figures for Prometheus, a login on the serial line. For " + boardWords(r.boards()) + ".",
		Icon:          "icons/use_custom.png", // the Imager's own
		URL:           at(packed.name),
		Website:       "https://github.com/sierpi/sierpi",
		ReleaseDate:   lock.Time.UTC().Format("2006-01-02"),
		ExtractSize:   whole.size,
		ExtractSHA256: hex.EncodeToString(whole.sum[:]), ImageDownloadSize: packed.size, ImageDownloadSHA256: hex.EncodeToString(packed.sum[:]),
		BmapURL: at(strings.TrimSuffix(whole.name, ".img") + ".bmap"),
		Devices: imagerDevices(r.boards(), r.Arch),
		// system/firstboot reads what the Imager's form asks for in this one.
		InitFormat:   "rpi-preseed",
		Architecture: architecture,
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{"os_list": []imagerImage{entry}}); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// boardWords names boards as they are sold.
func boardWords(boards []string) string {
	words := map[string]string{
		"pi0": "Zero", "pi0w": "Zero W", "pi1": "1", "pi2": "2", "pi02": "Zero 2 W", "pi3": "3", "pi3+": "3+",
		"pi4": "4", "pi400": "400", "cm4": "CM4", "pi5": "5", "pc": "a PC",
	}
	var out []string
	for _, b := range boards {
		out = append(out, words[b])
	}
	if len(out) < 2 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}

// goModules reads out of the packaged program itself what it was built of.
func goModules(ctx context.Context, cache Cache, lock Lock) (*debug.BuildInfo, error) {
	for _, p := range lock.Packages {
		if p.Archive != "local" || p.Name != "sierpi" {
			continue
		}
		data, err := (command{}).run(ctx, "dpkg-deb", "--fsys-tarfile", cache.Path(p))
		if err != nil {
			return nil, err
		}
		for files := tar.NewReader(bytes.NewReader(data)); ; {
			h, err := files.Next()
			if err != nil {
				return nil, fmt.Errorf("looking for /usr/bin/sierpi in %s: %w", p.File(), err)
			}
			if h.Name != "./usr/bin/sierpi" {
				continue
			}
			program, err := io.ReadAll(files)
			if err != nil {
				return nil, fmt.Errorf("reading /usr/bin/sierpi of %s: %w", p.File(), err)
			}
			info, err := buildinfo.Read(bytes.NewReader(program))
			if err != nil {
				return nil, fmt.Errorf("reading the Go modules of %s: %w", p.File(), err)
			}
			return info, nil
		}
	}
	return nil, fmt.Errorf("the lock names no package of ours")
}

// billOfMaterials lists everything that an image is made of, in CycloneDX: Debian's
// packages by the lock, and the Go modules inside of our program.
func billOfMaterials(r Recipe, lock Lock, image digest, program *debug.BuildInfo) ([]byte, error) {
	hash := func(sum []byte) *[]cdx.Hash {
		return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	}
	bom := cdx.NewBOM()
	u := lock.id(r, "bill of materials")
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
	self := cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeOS, Name: r.Name(), Version: lock.Version, Hashes: hash(image.sum[:])}
	bom.Metadata = &cdx.Metadata{Timestamp: lock.Time.UTC().Format("2006-01-02T15:04:05Z"), Component: &self}
	var components []cdx.Component
	var ours []string
	var refs []string
	for _, p := range lock.Packages {
		namespace := "debian"
		switch p.Archive {
		case "raspbian":
			namespace = "raspbian"
		case "raspberrypi":
			namespace = "raspberrypi"
		case "local":
			namespace = "sierpi"
		}
		q := url.Values{"arch": {p.Arch}, "distro": {lock.Release}}
		purl := fmt.Sprintf("pkg:deb/%s/%s@%s?%s", namespace, url.PathEscape(p.Name), url.PathEscape(p.Version), q.Encode())
		components = append(components, cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: purl, Hashes: hash(p.SHA256[:])})
		refs = append(refs, purl)
		if p.Archive == "local" {
			ours = append(ours, purl)
		}
	}
	dependencies := []cdx.Dependency{{Ref: "image", Dependencies: &refs}}
	if program != nil {
		var modules []string
		for _, m := range program.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			purl := "pkg:golang/" + m.Path + "@" + m.Version
			components = append(components, cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl})
			modules = append(modules, purl)
		}
		std := "pkg:golang/std@" + strings.TrimPrefix(program.GoVersion, "go")
		components = append(components, cdx.Component{BOMRef: std, Type: cdx.ComponentTypeLibrary, Name: "std", Version: strings.TrimPrefix(program.GoVersion, "go"), PackageURL: std})
		modules = append(modules, std)
		for _, ref := range ours {
			dependencies = append(dependencies, cdx.Dependency{Ref: ref, Dependencies: &modules})
		}
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	var b bytes.Buffer
	enc := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON)
	enc.SetPretty(true)
	if err := enc.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	return b.Bytes(), nil
}
