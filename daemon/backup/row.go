package backup

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendRow writes a row and a newline.
func appendRow(b []byte, row []any) ([]byte, error) {
	b = append(b, '[')
	for i, v := range row {
		if i > 0 {
			b = append(b, ',')
		}
		switch v := v.(type) {
		case nil:
			b = append(b, "null"...)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return b, fmt.Errorf("column %d holds %v, which JSON cannot", i+1, v)
			}
			at := len(b)
			b = strconv.AppendFloat(b, v, 'g', -1, 64)
			if !bytes.ContainsAny(b[at:], ".e") {
				b = append(b, ".0"...)
			}
		case string:
			if !utf8.ValidString(v) {
				b = appendBase64(b, 't', []byte(v))
				break
			}
			var text bytes.Buffer
			enc := json.NewEncoder(&text)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				return b, err
			}
			b = append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
		case []byte:
			b = appendBase64(b, 'b', v)
		default:
			return b, fmt.Errorf("column %d holds a %T, which has no form in a backup", i+1, v)
		}
	}
	return append(b, ']', '\n'), nil
}

func appendBase64(b []byte, kind byte, data []byte) []byte {
	b = append(b, '{', '"', kind, '"', ':', '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"', '}')
}

// readRow reads one line of n values.
func readRow(line []byte, n int) ([]any, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var row []any
	if err := dec.Decode(&row); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one value stands in a line")
	}
	if len(row) != n {
		return nil, fmt.Errorf("it has %d values, not %d", len(row), n)
	}
	for i, v := range row {
		switch v := v.(type) {
		case nil, string:
		case json.Number:
			var err error
			if strings.ContainsAny(v.String(), ".eE") {
				row[i], err = v.Float64()
			} else {
				row[i], err = v.Int64()
			}
			if err != nil {
				return nil, fmt.Errorf("value %d: %w", i+1, err)
			}
		case map[string]any:
			data, err := fromBase64(v)
			if err != nil {
				return nil, fmt.Errorf("value %d: %w", i+1, err)
			}
			row[i] = data
		default:
			return nil, fmt.Errorf("value %d is a %T", i+1, v)
		}
	}
	return row, nil
}

func fromBase64(v map[string]any) (any, error) {
	if len(v) != 1 {
		return nil, errors.New("an object of other than one key")
	}
	for kind, text := range v {
		s, ok := text.(string)
		if !ok {
			return nil, errors.New("an object without text")
		}
		data, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil {
			return nil, err
		}
		switch kind {
		case "b":
			return data, nil
		case "t":
			return string(data), nil
		}
	}
	return nil, errors.New("an object of an unknown kind")
}
