package systemtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Commands holds that each command line of root's program that is shown to anybody is one
// that the program understands: in the examples of its help, in the documents of the
// repository at dir, and in what its sources tell people to type. Nothing is run.
func Commands(t testing.TB, root *cobra.Command, dir string) {
	t.Helper()
	shown := map[string]string{} // command line: where
	for _, line := range examples(root) {
		shown[line] = "an example of the help"
	}
	name := regexp.QuoteMeta(root.Name())
	inText := regexp.MustCompile("`(?:sudo )?(" + name + " [^`\n]*)`|(?m)^    (?:[^#\n]*[|;&] *)?(?:sudo )?(" + name + " .*)$")
	inCode := regexp.MustCompile("`(?:sudo )?(" + name + " [a-z][^`\"\n]*)`|\"sudo (" + name + " [^\"\n]*[^\" ])\"")
	root.InitDefaultCompletionCmd()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "build", "testdata"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		find := inText
		switch {
		case d.Name() == "CHANGELOG.md" || strings.HasSuffix(path, "_test.go"): // what was, and what is wrong on purpose
			return nil
		case strings.HasSuffix(path, ".go"):
			find = inCode
		case !strings.HasSuffix(path, ".md"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range find.FindAllSubmatch(text, -1) {
			shown[string(slices.Concat(m[1:]...))] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for line, where := range shown {
		args := words(line)[1:]
		cmd, rest, err := root.Find(args)
		if err == nil {
			cmd.InitDefaultHelpFlag()
			err = cmd.ParseFlags(rest)
		}
		if err == nil && strings.ContainsAny(line[len(root.Name()):], "-<>|\"'./") {
			// Without any of these it only names a command, as texts do: `sierpi cutout` takes pictures.
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err != nil {
			t.Errorf("%s: %s\n%v", where, line, err)
		}
	}
	if len(shown) < 10 {
		t.Errorf("only %d command lines were found: %v", len(shown), shown)
	}
}

func examples(cmd *cobra.Command) []string {
	var out []string
	for line := range strings.Lines(cmd.Example) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "sudo ")
		if strings.HasPrefix(line, cmd.Root().Name()+" ") {
			out = append(out, line)
		}
	}
	for _, child := range cmd.Commands() {
		out = append(out, examples(child)...)
	}
	return out
}

// words are the words of a shell's command line up to its comment, pipe or end. What the
// shell would replace stays as it stands.
func words(line string) []string {
	if i := strings.Index(line, "   "); i > 0 { // what it does stands beside it
		line = line[:i]
	}
	var out []string
	var word strings.Builder
	var quote rune
	open := false
	end := func() {
		if open {
			out = append(out, word.String())
		}
		word.Reset()
		open = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == ' ':
			end()
		case strings.ContainsRune("|<>;&", r) || r == '#' && !open:
			end()
			return out
		default:
			open = true
			word.WriteRune(r)
		}
	}
	end()
	return out
}
