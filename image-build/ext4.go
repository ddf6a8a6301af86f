package imagebuild

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// inode is one name in an ext4 file system, with the mode that it has there: debugfs's
// rdump loses setuid bits and, for others than root, owners.
type inode struct {
	path     string // absolute
	number   int
	mode     uint32 // as stat(2) says it
	uid, gid int
}

const (
	modeType   = 0o170000
	modeFolder = 0o040000
	modeFile   = 0o100000
	modeSetuid = 0o4000
	modeSetgid = 0o2000
)

// listExt4 lists every name of a file system, a level of folders at a time. work is
// for the lists of commands.
func listExt4(ctx context.Context, fs, work string) ([]inode, error) {
	var all []inode
	level := []inode{{path: "/", number: 2, mode: modeFolder | 0o755}}
	for depth := 0; len(level) > 0; depth++ {
		if depth > 64 {
			return nil, fmt.Errorf("folders are nested deeper than %d", depth)
		}
		var ask strings.Builder
		for _, d := range level {
			fmt.Fprintf(&ask, "ls -p <%d>\n", d.number)
		}
		file := filepath.Join(work, "ls.debugfs")
		if err := os.WriteFile(file, []byte(ask.String()), 0o600); err != nil {
			return nil, err
		}
		out, err := (command{}).run(ctx, "debugfs", "-f", file, fs)
		if err != nil {
			return nil, fmt.Errorf("listing the root file system: %w", err)
		}
		next, err := parseListing(out, level)
		if err != nil {
			return nil, fmt.Errorf("listing the root file system: %w", err)
		}
		level = level[:0:0]
		for _, n := range next {
			if n.mode&modeType == modeFolder {
				level = append(level, n)
			}
		}
		all = append(all, next...)
	}
	return all, nil
}

// parseListing reads the answers to `ls -p`, one for each folder asked about, in order.
func parseListing(out []byte, folders []inode) ([]inode, error) {
	var list []inode
	at := -1
	scan := bufio.NewScanner(bytes.NewReader(out))
	for scan.Scan() {
		line := scan.Text()
		switch {
		case strings.HasPrefix(line, "debugfs: ls -p <"):
			at++
			if at >= len(folders) || line != fmt.Sprintf("debugfs: ls -p <%d>", folders[at].number) {
				return nil, fmt.Errorf("debugfs answered %q, which was not asked", line)
			}
		case line == "":
		case strings.HasPrefix(line, "/"):
			// /inode/mode/uid/gid/name/size/; a name holds no slash.
			f := strings.Split(line, "/")
			if len(f) != 8 || at < 0 {
				return nil, fmt.Errorf("debugfs: %q cannot be read", line)
			}
			var n [4]int64
			for i, base := range [4]int{10, 8, 10, 10} {
				var err error
				if n[i], err = strconv.ParseInt(f[1+i], base, 32); err != nil || n[i] < 0 {
					return nil, fmt.Errorf("debugfs: %q cannot be read", line)
				}
			}
			name := f[5]
			if n[0] == 0 || name == "." || name == ".." {
				continue // a free slot, or known
			}
			list = append(list, inode{filepath.Join(folders[at].path, name), int(n[0]), uint32(n[1]), int(n[2]), int(n[3])})
		default:
			return nil, fmt.Errorf("debugfs: %q cannot be read", line)
		}
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	if at != len(folders)-1 {
		return nil, fmt.Errorf("debugfs answered for %d folders of %d", at+1, len(folders))
	}
	return list, nil
}
