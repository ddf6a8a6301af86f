package serial

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Console is the kernel's console on a serial line, as boot files name it.
type Console struct {
	// Names are what the line may be called: "serial0" and "ttyS0" are one where the
	// firmware resolves the first to the second. New entries get the first name.
	Names []string
	Baud  int
	On    bool // the kernel shall write there; false: it shall not
}

func (c Console) token() string {
	return "console=" + c.Names[0] + "," + strconv.Itoa(c.Baud)
}

// op is one change of a file: text that stands there now for text that stood
// there before. Either may be empty.
type op struct {
	Add    string `json:"add,omitempty"`
	Remove string `json:"remove,omitempty"`
}

func (o op) String() string {
	add, remove := oneLine(o.Add), oneLine(o.Remove)
	switch {
	case o.Remove == "":
		return "add " + add
	case o.Add == "":
		return "remove " + remove
	}
	return "change " + remove + " to " + add
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", " / ")
}

// span is a token's place in a text.
type span struct{ from, to int }

// tokens splits a command line as the kernel does: at white space outside double
// quotes.
func tokens(text []byte) []span {
	var out []span
	for i := 0; i < len(text); {
		if isSpace(text[i]) {
			i++
			continue
		}
		from, quoted := i, false
		for ; i < len(text) && (quoted || !isSpace(text[i])); i++ {
			if text[i] == '"' {
				quoted = !quoted
			}
		}
		out = append(out, span{from, i})
	}
	return out
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// consoleToken reads "console=ttyS0,115200n8r": the device, the baud (0: not
// said) and what follows the baud.
type consoleToken struct {
	device, rest string
	baud         int
}

func parseConsole(token string) (consoleToken, bool) {
	if n := len(token); n > 1 && token[0] == '"' && token[n-1] == '"' {
		token = token[1 : n-1]
	}
	value, ok := strings.CutPrefix(token, "console=")
	if !ok || strings.Contains(value, `"`) { // quotes amid a word: not worth understanding
		return consoleToken{}, false
	}
	device, options, _ := strings.Cut(value, ",")
	digits := len(options) - len(strings.TrimLeft(options, "0123456789"))
	baud, _ := strconv.Atoi(options[:digits])
	return consoleToken{device, options[digits:], baud}, true
}

// wanted is the token that this one must become, the same if it is right. What
// it says of parity, bits and flow control stays.
func (c Console) wanted(token string) string {
	t, _ := parseConsole(token)
	baud := t.baud
	if baud == 0 {
		baud = 9600 // the kernel's own default
	}
	if baud == c.Baud {
		return token
	}
	quote := ""
	if strings.HasPrefix(token, `"`) {
		quote = `"`
	}
	return quote + "console=" + t.device + "," + strconv.Itoa(c.Baud) + t.rest + quote
}

// editTokens brings a command line to the console. screen is the console that is
// added beside ours where there is no other: with a serial one alone, a screen
// would stay dark that showed the kernel's words before.
func editTokens(text []byte, c Console, screen string) ([]byte, []op) {
	var ops []op
	out := slices.Clone(text)
	have, firstOther := false, -1
	all := tokens(out)
	for i := len(all) - 1; i >= 0; i-- { // from the end: earlier places stay right
		s := all[i]
		token := string(out[s.from:s.to])
		t, ok := parseConsole(token)
		if !ok {
			continue
		}
		if !slices.Contains(c.Names, t.device) {
			firstOther = s.from
			continue
		}
		if !c.On {
			from, to := s.from, s.to
			if i > 0 { // with the blank before it, or, at the start, the one after
				from = all[i-1].to
				if bytes.IndexByte(out[from:s.from], '\n') >= 0 {
					from = s.from
				}
			} else if len(all) > 1 {
				to = all[1].from
			}
			out = slices.Delete(out, from, to)
			ops = append(ops, op{Remove: token})
			all = tokens(out)[:i] // what follows has moved
			continue
		}
		have = true
		if want := c.wanted(token); want != token {
			out = slices.Replace(out, s.from, s.to, []byte(want)...)
			ops = append(ops, op{Add: want, Remove: token})
		}
	}
	if c.On && !have {
		at := firstOther
		add := c.token()
		if at < 0 {
			at = 0
			if len(all) > 0 {
				at = all[0].from
			}
			if screen != "" {
				// The last one becomes /dev/console.
				ops = append(ops, op{Add: "console=" + screen})
				add += " console=" + screen
			}
		}
		ops = append(ops, op{Add: c.token()})
		if at < len(out) && !isSpace(out[at]) {
			add += " "
		}
		out = slices.Insert(out, at, []byte(add)...)
	}
	return out, ops
}

// maxCmdline is what firmware of every age reads of cmdline.txt, and what one
// sector of a card holds.
const maxCmdline = 512

// EditCmdline brings the text of a Raspberry Pi's cmdline.txt to the console. All
// other tokens, blanks and line ends stay as they are.
func EditCmdline(text []byte, c Console) ([]byte, error) {
	out, _, err := editCmdline(text, c)
	return out, err
}

func editCmdline(text []byte, c Console) ([]byte, []op, error) {
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, nil, fmt.Errorf("it holds NUL bytes: this is no command line")
	}
	out, ops := editTokens(text, c, "tty1")
	if len(ops) > 0 && len(out) > maxCmdline {
		return nil, nil, fmt.Errorf("it would have %d bytes, and firmware reads %d; shorten it", len(out), maxCmdline)
	}
	return out, ops, nil
}

// undoTokens takes ops back from a command line that somebody changed since.
func undoTokens(text []byte, ops []op) []byte {
	out := slices.Clone(text)
	for _, o := range slices.Backward(ops) {
		done := false
		for i, s := range tokens(out) {
			if o.Add == "" || string(out[s.from:s.to]) != o.Add {
				continue
			}
			if o.Remove != "" {
				out = slices.Replace(out, s.from, s.to, []byte(o.Remove)...)
			} else {
				to := s.to
				if next := tokens(out); i+1 < len(next) {
					to = next[i+1].from
				}
				out = slices.Delete(out, s.from, to)
			}
			done = true
			break
		}
		if !done && o.Add == "" && !hasToken(out, o.Remove) {
			sep := ""
			if len(out) > 0 && !isSpace(out[0]) {
				sep = " "
			}
			out = slices.Insert(out, 0, []byte(o.Remove+sep)...)
		}
	}
	return out
}

func hasToken(text []byte, token string) bool {
	return slices.ContainsFunc(tokens(text), func(s span) bool { return string(text[s.from:s.to]) == token })
}

// undoLines takes ops back from a file of lines that somebody changed since.
func undoLines(text []byte, ops []op) []byte {
	out := slices.Clone(text)
	for _, o := range slices.Backward(ops) {
		if o.Add == "" {
			if !bytes.Contains(out, []byte(o.Remove)) {
				out = append(out, o.Remove...)
			}
			continue
		}
		for from := 0; ; {
			i := bytes.Index(out[from:], []byte(o.Add))
			if i < 0 {
				break
			}
			if at := from + i; at == 0 || out[at-1] == '\n' { // whole lines only
				out = slices.Replace(out, at, at+len(o.Add), []byte(o.Remove)...)
				break
			}
			from += i + 1
		}
	}
	return out
}

// eol is the line end that a text uses.
func eol(text []byte) string {
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// appendBlock adds whole lines at the end of a text, which may lack its last
// line end.
func appendBlock(text []byte, lines ...string) ([]byte, op) {
	end := eol(text)
	out := slices.Clone(text)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, end...)
	}
	block := strings.Join(lines, end) + end
	return append(out, block...), op{Add: block}
}

// marker heads each block that we append.
const marker = "# sierpi serial: these lines were added by `sierpi serial apply`, `sierpi serial off` takes them away"

// editGrub2 brings /etc/default/grub, which the shell reads, to the console: a
// wrong baud in an existing entry is changed in place, because the kernel keeps
// the first of two entries for one line; all else is a block at the end that
// builds upon whatever stands above it.
func editGrub2(text []byte, c Console, unit int) ([]byte, []op) {
	var ops []op
	var out []byte
	have := false
	for line := range bytes.Lines(text) {
		trimmed := strings.TrimSpace(string(line))
		if !strings.HasPrefix(trimmed, "GRUB_CMDLINE_LINUX=") && !strings.HasPrefix(trimmed, "GRUB_CMDLINE_LINUX_DEFAULT=") {
			out = append(out, line...)
			continue
		}
		edited := editInQuotes(line, c, &have)
		if !bytes.Equal(edited, line) {
			ops = append(ops, op{Add: string(edited), Remove: string(line)})
		}
		out = append(out, edited...)
	}
	if !c.On {
		return out, ops
	}
	serial := fmt.Sprintf("serial --unit=%d --speed=%d --word=8 --parity=no --stop=1", unit, c.Baud)
	var block []string
	if v := shellValue(out, "GRUB_TERMINAL"); !strings.Contains(v, "serial") && unit >= 0 {
		block = append(block, `GRUB_TERMINAL="console serial"`)
	}
	if v := shellValue(out, "GRUB_SERIAL_COMMAND"); unit >= 0 && (!strings.Contains(v, fmt.Sprintf("--speed=%d", c.Baud)) || !strings.Contains(v, fmt.Sprintf("--unit=%d", unit))) {
		block = append(block, `GRUB_SERIAL_COMMAND="`+serial+`"`)
	}
	if !have {
		block = append(block, `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=tty0 `+c.token()+`"`)
	}
	if len(block) > 0 {
		var o op
		out, o = appendBlock(out, append([]string{marker}, block...)...)
		ops = append(ops, o)
	}
	return out, ops
}

// editRaspiFirmware brings /etc/default/raspi-firmware of Debian's package to the
// console: its hook writes cmdline.txt anew at every kernel update, with what
// CONSOLES lists. The shell reads the file.
func editRaspiFirmware(text []byte, c Console) ([]byte, []op) {
	const name = "CONSOLES"
	at, have := -1, false
	var lines [][]byte
	for line := range bytes.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(string(line)), name+"=") {
			at = len(lines)
		}
		lines = append(lines, line)
	}
	var ops []op
	auto := true
	if at >= 0 {
		// The same words as on a command line but for their first eight letters.
		line := string(lines[at])
		before, value, _ := strings.Cut(line, "=")
		body := strings.TrimRight(value, "\r\n")
		inner := strings.Trim(body, `"'`)
		auto = inner == "" || inner == "auto"
		words := strings.Fields(inner)
		kept := words[:0:0]
		for _, w := range words {
			t, _ := parseConsole("console=" + w)
			if slices.Contains(c.Names, t.device) {
				if !c.On {
					continue
				}
				have = true
				w = strings.TrimPrefix(c.wanted("console="+w), "console=")
			}
			kept = append(kept, w)
		}
		if !slices.Equal(words, kept) && !strings.ContainsAny(inner, "$`\\") {
			edited := before + `="` + strings.Join(kept, " ") + `"` + value[len(body):]
			ops = append(ops, op{Add: edited, Remove: line})
			lines[at] = []byte(edited)
		}
	}
	out := bytes.Join(lines, nil)
	if c.On && !have {
		value := strings.TrimPrefix(c.token(), "console=") + " $" + name
		if auto {
			value = strings.TrimPrefix(c.token(), "console=") + " tty0"
		}
		var o op
		out, o = appendBlock(out, marker, name+`="`+value+`"`)
		ops = append(ops, o)
	}
	return out, ops
}

// editInQuotes edits console= words of a shell assignment, leaving everything
// else of the line as it is.
func editInQuotes(line []byte, c Console, have *bool) []byte {
	out := string(line)
	for from := 0; ; {
		i := strings.Index(out[from:], "console=")
		if i < 0 {
			return []byte(out)
		}
		start := from + i
		end := start
		for end < len(out) && !isSpace(out[end]) && out[end] != '"' && out[end] != '\'' {
			end++
		}
		from = end
		if start > 0 && !isSpace(out[start-1]) && strings.IndexByte(`"'=`, out[start-1]) < 0 {
			continue // the end of another word
		}
		token := out[start:end]
		t, _ := parseConsole(token)
		if !slices.Contains(c.Names, t.device) {
			continue
		}
		want := ""
		if c.On {
			*have, want = true, c.wanted(token)
		} else if start > 0 && out[start-1] == ' ' {
			start-- // the blank before it goes too
		} else if end < len(out) && out[end] == ' ' {
			end++
		}
		out = out[:start] + want + out[end:]
		from = start + len(want)
	}
}

// shellValue is the raw text of the last assignment of a variable.
func shellValue(text []byte, name string) string {
	value := ""
	for line := range bytes.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(string(line)), name+"="); ok {
			value = v
		}
	}
	return value
}

// editGrubLegacy brings GRUB 0.97's grub.conf or menu.lst to the console: the
// menu on the line too, and console= on every kernel line.
func editGrubLegacy(text []byte, c Console, unit int) ([]byte, []op) {
	var ops []op
	var out []byte
	head := true
	var haveSerial, haveTerminal bool
	var insertAt = -1
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line))
		first := ""
		if len(words) > 0 {
			first = words[0]
		}
		switch {
		case first == "title":
			if head {
				insertAt = len(out)
			}
			head = false
		case first == "serial":
			haveSerial = true
		case first == "terminal":
			haveTerminal = true
		case first == "kernel" && !head:
			// The word itself and the path are no tokens of the command line.
			body, end := bytes.TrimRight(line, "\r\n"), line[len(bytes.TrimRight(line, "\r\n")):]
			have := false
			edited := editInQuotes(body, c, &have)
			if c.On && !have {
				edited = append(slices.Clone(bytes.TrimRight(body, " \t")), " console=tty0 "+c.token()...)
			}
			if edited := append(slices.Clone(edited), end...); !bytes.Equal(edited, line) {
				ops = append(ops, op{Add: string(edited), Remove: string(line)})
				out = append(out, edited...)
				continue
			}
		}
		out = append(out, line...)
	}
	if c.On && unit >= 0 && insertAt >= 0 && !haveSerial && !haveTerminal {
		end := eol(text)
		block := marker + end + fmt.Sprintf("serial --unit=%d --speed=%d", unit, c.Baud) + end + "terminal --timeout=8 console serial" + end
		out = slices.Insert(out, insertAt, []byte(block)...)
		ops = append(ops, op{Add: block})
	}
	return out, ops
}

// editSecuretty lets root log in on the line, where /etc/securetty is in use.
func editSecuretty(text []byte, device string) ([]byte, []op) {
	for line := range bytes.Lines(text) {
		if strings.TrimSpace(string(line)) == device {
			return text, nil
		}
	}
	out, o := appendBlock(text, device)
	return out, []op{o}
}

// editInittab starts a getty on the line under SysV init. An entry for the line
// is changed in place; else one is added under an id that is free.
func editInittab(text []byte, device string, baud int, term string, login bool) ([]byte, []op) {
	var out []byte
	var ops []op
	have := false
	ids := map[string]bool{}
	for line := range bytes.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(string(line)), ":", 4)
		if len(fields) < 4 || strings.HasPrefix(fields[0], "#") {
			out = append(out, line...)
			continue
		}
		ids[fields[0]] = true
		words := strings.Fields(fields[3])
		if !strings.Contains(fields[2], "respawn") || !slices.Contains(words, device) {
			out = append(out, line...)
			continue
		}
		end := string(line[len(bytes.TrimRight(line, "\r\n")):])
		switch {
		case !login:
			ops = append(ops, op{Remove: string(line)})
			continue
		case !have && slices.Contains(words, strconv.Itoa(baud)) && words[len(words)-1] == term:
		case !have:
			edited := fmt.Sprintf("%s:%s:respawn:/sbin/getty -L %s %d %s", fields[0], fields[1], device, baud, term) + end
			ops = append(ops, op{Add: edited, Remove: string(line)})
			line = []byte(edited)
		}
		have = true
		out = append(out, line...)
	}
	if login && !have {
		// An id has at most four characters, two on the oldest.
		id := "T" + device[len(device)-1:]
		for n := 0; ids[id] && n < 100; n++ {
			id = fmt.Sprintf("s%d", n)
		}
		var o op
		out, o = appendBlock(out, fmt.Sprintf("%s:23:respawn:/sbin/getty -L %s %d %s", id, device, baud, term))
		ops = append(ops, o)
	}
	return out, ops
}
