package imagebuild

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Notice is the licence of one module that is linked into the program, with the texts that
// it asks to be passed on.
type Notice struct {
	Module  string
	Version string
	Kinds   []string // SPDX names: "MIT", "BSD-3-Clause"
	Texts   []LicenseText
}

// LicenseText is a licence, notice or patent grant as the module brings it.
type LicenseText struct {
	Name string // within the module
	Text string
}

// licenseName are the files that a module keeps such texts in.
var licenseName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense|copyright)([-_.].*)?$`)

// licenseKinds tells a licence by sentences that all its copies have and no other does, with
// blanks and case evened out. A reader who compares whole texts would do more than is asked
// here: the texts themselves are passed on, whatever they are called.
var licenseKinds = []struct {
	kind string
	has  []string
	not  string
}{
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the above copyright notice and this permission notice shall be included"}, ""},
	{"ISC", []string{"distribute this software for any purpose with or without fee is hereby granted"}, ""},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted provided that", "neither the name"}, ""},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted provided that"}, "neither the name"},
	{"Apache-2.0", []string{"apache license version 2.0, january 2004", "terms and conditions for use, reproduction, and distribution"}, ""},
	{"MPL-2.0", []string{"mozilla public license", "version 2.0", "covered software"}, ""},
	{"Zlib", []string{"altered source versions must be plainly marked as such"}, ""},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}, ""},
	{"CC0-1.0", []string{"cc0 1.0 universal", "affirmer"}, ""},
	{"blessing", []string{"may you do good and not evil"}, ""},
	{"GPL-2.0", []string{"gnu general public license", "you may copy and distribute verbatim copies of the program"}, ""},
	{"GPL-3.0", []string{"gnu general public license", "you may convey verbatim copies of the program"}, "remote network interaction"},
	// The text itself: the MPL's, and many a list, name these licences.
	{"LGPL-2.1", []string{"gnu lesser general public license", "work that uses the library"}, ""},
	{"LGPL-3.0", []string{"gnu lesser general public license", "an application is any work that makes use of an interface provided by the library"}, ""},
	{"AGPL-3.0", []string{"gnu affero general public license", "remote network interaction"}, ""},
}

// kindsOf are the licences that a text is, or holds.
func kindsOf(text string) (kinds []string) {
	text = strings.ReplaceAll(strings.ToLower(text), "\n>", "\n") // quoted, as in a mail
	text = strings.NewReplacer("“", "", "”", "", `"`, "").Replace(strings.Join(strings.Fields(text), " "))
	for _, k := range licenseKinds {
		holds := k.not == "" || !strings.Contains(text, k.not)
		for _, sentence := range k.has {
			holds = holds && strings.Contains(text, sentence)
		}
		if holds {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

// mayShip are the licences under which a statically linked program may be passed on if the
// texts go with it. Another one is a decision to be taken, not a line to be added.
var mayShip = map[string]bool{
	"MIT": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "Apache-2.0": true, "ISC": true, "MPL-2.0": true,
	"Zlib": true, "Unlicense": true, "CC0-1.0": true, "blessing": true,
}

// goPackage is what `go list -deps -json` says of a package.
type goPackage struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *goModule
}

type goModule struct {
	Path, Version, Dir string
	Main               bool
	Replace            *goModule
}

// Notices lists the modules that are linked into pkg for a Debian architecture, sorted by
// path, the Go distribution first, with their texts from the module cache. A module without
// a text that is recognised, or with one under which it may not be passed on, is an error
// that names it.
func (s Source) Notices(ctx context.Context, arch, pkg string) ([]Notice, error) {
	target, ok := Architectures[arch]
	if !ok {
		return nil, fmt.Errorf("no Go toolchain target for architecture %q", arch)
	}
	run := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = s.Dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+target.GOARCH, "GOARM="+target.GOARM, "GOWORK=off")
		out, err := cmd.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, lastLines(string(exit.Stderr), 20))
		}
		return out, err
	}
	out, err := run("list", "-deps", "-json=ImportPath,Dir,Standard,Module", pkg)
	if err != nil {
		return nil, fmt.Errorf("listing what %s is made of: %w", pkg, err)
	}
	folders := map[goModule][]string{} // of the packages that are linked
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading what %s is made of: %w", pkg, err)
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		m := *p.Module
		if m.Replace != nil {
			m.Dir, m.Version = m.Replace.Dir, cmp.Or(m.Replace.Version, "replaced")
			m.Replace = nil
		}
		folders[m] = append(folders[m], p.Dir)
	}
	root, err := run("env", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, fmt.Errorf("asking go for its folder: %w", err)
	}
	goroot, version, _ := strings.Cut(strings.TrimSpace(string(root)), "\n")
	modules := []goModule{{Path: "Go standard library", Version: version, Dir: goroot}}
	rest := make([]goModule, 0, len(folders))
	for m := range folders {
		rest = append(rest, m)
	}
	slices.SortFunc(rest, func(a, b goModule) int { return cmp.Compare(a.Path, b.Path) })
	var notices []Notice
	var missing []error
	for _, m := range append(modules, rest...) {
		n, err := noticeOf(m, folders[m])
		if err != nil {
			missing = append(missing, err)
			continue
		}
		notices = append(notices, n)
	}
	return notices, errors.Join(missing...)
}

// noticeOf reads the texts of a module: of its own folder, and of those above the packages
// that are linked, which may be somebody else's work.
func noticeOf(m goModule, packages []string) (Notice, error) {
	n := Notice{Module: m.Path, Version: m.Version}
	if m.Dir == "" {
		return n, fmt.Errorf("%s %s is not in the module cache: run go mod download", m.Path, m.Version)
	}
	folders := map[string]bool{m.Dir: true}
	for _, dir := range packages {
		for ; len(dir) > len(m.Dir) && strings.HasPrefix(dir, m.Dir); dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return n, fmt.Errorf("reading the licence of %s: %w", m.Path, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !licenseName.MatchString(e.Name()) || filepath.Ext(e.Name()) == ".go" {
				continue
			}
			path := filepath.Join(dir, e.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				return n, fmt.Errorf("reading the licence of %s: %w", m.Path, err)
			}
			name, err := filepath.Rel(m.Dir, path)
			if err != nil {
				return n, fmt.Errorf("reading the licence of %s: %w", m.Path, err)
			}
			n.Texts = append(n.Texts, LicenseText{filepath.ToSlash(name), strings.ToValidUTF8(string(text), "\ufffd")})
		}
	}
	slices.SortFunc(n.Texts, func(a, b LicenseText) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range n.Texts {
		for _, kind := range kindsOf(t.Text) {
			if !slices.Contains(n.Kinds, kind) {
				n.Kinds = append(n.Kinds, kind)
			}
		}
	}
	slices.Sort(n.Kinds)
	if len(n.Kinds) == 0 || slices.ContainsFunc(n.Kinds, func(kind string) bool { return !mayShip[kind] }) {
		return n, fmt.Errorf("%s %s has no licence that is known to allow passing it on (found %v in %s): decide whether it may be linked in, and note it in image-build/licenses.go", m.Path, m.Version, n.Kinds, m.Dir)
	}
	return n, nil
}

// thirdParty is the file that the package ships: a list, then every text once.
func thirdParty(notices []Notice) []byte {
	var b strings.Builder
	b.WriteString("sierpi is one static program. These works are part of it:\n\n")
	for _, n := range notices {
		fmt.Fprintf(&b, "  %s %s: %s\n", n.Module, n.Version, strings.Join(n.Kinds, ", "))
	}
	type shared struct {
		text string
		of   []string
	}
	var texts []*shared
	byText := map[string]*shared{}
	for _, n := range notices {
		for _, t := range n.Texts {
			s := byText[t.Text]
			if s == nil {
				s = &shared{text: t.Text}
				byText[t.Text] = s
				texts = append(texts, s)
			}
			s.of = append(s.of, n.Module+" "+n.Version+", "+t.Name)
		}
	}
	for _, s := range texts {
		b.WriteString("\n" + strings.Repeat("=", 78) + "\n" + strings.Join(s.of, "\n") + "\n\n" + strings.TrimRight(s.text, "\n") + "\n")
	}
	return []byte(b.String())
}
