package quotes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
)

// exported is a quote in a JSON export. Import reads it back.
type exported struct {
	Quote
	Tags []string `json:"tags,omitempty"`
}

// loneSign is a line of a single %, which would end a fortune file's entry early:
// it is moved off the margin.
var loneSign = regexp.MustCompile(`(?m)^% *$`)

// Export writes all visible quotes, the oldest first, and returns how many.
// Fortune and plain files cannot hold tags and dates. progress may be nil.
func (s *Service) Export(ctx context.Context, w io.Writer, format Format, progress func(done, total int64)) (int, error) {
	out := bufio.NewWriter(w)
	n, err := s.export(ctx, out, format, progress)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return n, fmt.Errorf("exporting quotes: %w", err)
	}
	return n, nil
}

func (s *Service) export(ctx context.Context, out *bufio.Writer, format Format, progress func(done, total int64)) (int, error) {
	var one func(h Hit) error
	table := csv.NewWriter(out)
	n := 0
	switch format {
	case Fortune, Auto:
		one = func(h Hit) error {
			_, err := fmt.Fprintf(out, "%s\n%s%%\n", loneSign.ReplaceAllString(h.Text, " %"), attribution(h.Quote))
			return err
		}
	case JSON:
		one = func(h Hit) error {
			if n > 0 {
				out.WriteString(",\n")
			}
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(exported{h.Quote, h.Tags}); err != nil {
				return err
			}
			_, err := out.Write(bytes.TrimRight(b.Bytes(), "\n"))
			return err
		}
		out.WriteString("[\n")
	case CSV:
		if err := table.Write([]string{"text", "author", "source", "tags", "added"}); err != nil {
			return 0, err
		}
		one = func(h Hit) error {
			return table.Write([]string{h.Text, h.Author, h.Source, strings.Join(h.Tags, ","), h.Added.Format(time.RFC3339)})
		}
	case Plain:
		one = func(h Hit) error {
			text := h.Text
			for strings.Contains(text, "\n\n") { // an empty line parts the entries
				text = strings.ReplaceAll(text, "\n\n", "\n")
			}
			_, err := fmt.Fprintf(out, "%s\n%s\n", text, attribution(h.Quote))
			return err
		}
	default:
		return 0, fmt.Errorf("there is no format %q", format)
	}
	total, err := s.Count(ctx)
	if err != nil {
		return 0, err
	}
	for last := int64(0); ; {
		var hits []Hit
		// A short transaction a batch: a long one would keep SQLite's log growing.
		err := s.db.View(ctx, func(tx *store.Tx) error {
			ids, err := scanAll[int64](tx.QueryContext(ctx, `SELECT id FROM quote WHERE id > ? AND hidden = 0 ORDER BY id LIMIT 500`, last))
			if err != nil || len(ids) == 0 {
				return err
			}
			last = ids[len(ids)-1]
			hits, err = hitsOf(ctx, tx, ids)
			return err
		})
		if err != nil {
			return n, err
		}
		for _, h := range hits {
			if err := one(h); err != nil {
				return n, err
			}
			n++
		}
		if progress != nil {
			progress(int64(n), int64(total))
		}
		if len(hits) == 0 {
			break
		}
	}
	if format == JSON {
		out.WriteString("\n]\n")
	}
	table.Flush()
	return n, table.Error()
}

// attribution is the last line of an entry, or "".
func attribution(q Quote) string {
	by := q.Author
	if q.Source != "" {
		by = strings.TrimPrefix(by+`, "`+strings.ReplaceAll(q.Source, `"`, "'")+`"`, ", ")
	}
	if by == "" {
		return ""
	}
	return "\t\t-- " + by + "\n"
}
