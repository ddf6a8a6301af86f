package imagebuild

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// aptSource is one source of apt's configuration, in either of its formats.
type aptSource struct {
	types, uris, suites, components []string
	disabled                        bool
}

// parseSources reads the deb822 format (*.sources).
func parseSources(doc []byte) []aptSource {
	var out []aptSource
	var cur aptSource
	var key string
	fields := 0
	flush := func() {
		if fields > 0 {
			out = append(out, cur)
		}
		cur, key, fields = aptSource{}, "", 0
	}
	scan := bufio.NewScanner(bytes.NewReader(doc))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		line := scan.Text()
		if strings.HasPrefix(line, "#") {
			continue // also within a paragraph
		}
		if strings.TrimSpace(line) == "" {
			flush()
			continue
		}
		value := line
		if line[0] != ' ' && line[0] != '\t' { // else it continues the field above
			k, v, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			key, value = strings.ToLower(strings.TrimSpace(k)), v
		}
		words := strings.Fields(value)
		fields++
		switch key {
		case "types":
			cur.types = append(cur.types, words...)
		case "uris":
			cur.uris = append(cur.uris, words...)
		case "suites":
			cur.suites = append(cur.suites, words...)
		case "components":
			cur.components = append(cur.components, words...)
		case "enabled":
			cur.disabled = len(words) == 1 && slices.Contains([]string{"no", "false", "0", "off", "without", "disable"}, strings.ToLower(words[0]))
		}
	}
	flush()
	return out
}

// parseSourcesList reads the one-line format (sources.list, *.list).
func parseSourcesList(doc []byte) []aptSource {
	var out []aptSource
	scan := bufio.NewScanner(bytes.NewReader(doc))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		line, _, _ := strings.Cut(scan.Text(), "#")
		typ, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || typ != "deb" && typ != "deb-src" {
			continue
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") { // options
			_, after, ok := strings.Cut(rest, "]")
			if !ok {
				continue
			}
			rest = after
		}
		words := strings.Fields(rest)
		if len(words) < 2 {
			continue
		}
		out = append(out, aptSource{types: []string{typ}, uris: words[:1], suites: words[1:2], components: words[2:]})
	}
	return out
}

// hostMirrors finds where this machine's apt gets Debian from: the mirror that
// serves a Debian release's main component, and the one that serves its security
// updates. root is "/" but in tests.
func hostMirrors(root string) (debian, security string, err error) {
	var sources []aptSource
	read := func(path string, parse func([]byte) []aptSource) {
		// A file that cannot be read is as good as none: the error below says what is missing.
		if doc, err := os.ReadFile(path); err == nil {
			sources = append(sources, parse(doc)...)
		}
	}
	dir := filepath.Join(root, "etc/apt")
	read(filepath.Join(dir, "sources.list"), parseSourcesList)
	for _, ending := range []struct {
		pattern string
		parse   func([]byte) []aptSource
	}{{"*.list", parseSourcesList}, {"*.sources", parseSources}} {
		paths, err := filepath.Glob(filepath.Join(dir, "sources.list.d", ending.pattern))
		if err != nil {
			return "", "", err
		}
		for _, path := range paths {
			read(path, ending.parse)
		}
	}
	for _, s := range sources {
		if s.disabled || !slices.Contains(s.types, "deb") || !slices.Contains(s.components, "main") || len(s.uris) == 0 {
			continue
		}
		uri := strings.TrimRight(s.uris[0], "/")
		for _, suite := range s.suites {
			base, kind, _ := strings.Cut(suite, "-")
			switch base, _, _ = strings.Cut(base, "/"); {
			case !slices.Contains([]string{"bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable"}, base):
			case kind == "security" && security == "":
				security = uri
			case kind == "" && debian == "":
				debian = uri
			}
		}
	}
	switch {
	case debian == "":
		return "", "", fmt.Errorf("this machine's apt does not get Debian from anywhere (%s): name a mirror with --mirror", dir)
	case security == "" && strings.HasSuffix(debian, "/debian"):
		// Mirrors keep the security archive beside the other.
		security = debian + "-security"
	case security == "":
		return "", "", fmt.Errorf("this machine's apt has no security archive (%s): name one with --security-mirror", dir)
	}
	return debian, security, nil
}
