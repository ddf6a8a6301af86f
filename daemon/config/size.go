package config

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Size is an amount of memory that may depend on how much the machine has:
//
//	536870912   512MiB   50%   ram/2   min(ram/2, 4GiB)   max(25%, 256M)
//
// K, M, G and KiB, MiB, GiB count in 1024; kB, MB, GB in 1000.
type Size struct {
	fold  string // "min", "max" or empty
	parts []Size
	bytes uint64 // of a term that does not depend on RAM
	num   uint64 // of a term that does: ram * num / den
	den   uint64
}

const sizeHelp = `write for example "512MiB", "50%", "ram/2" or "min(ram/2, 4GiB)"`

// ParseSize reads an expression; the error says what is allowed.
func ParseSize(s string) (Size, error) {
	if len(s) > 200 {
		return Size{}, errors.New("a size expression has at most 200 characters; " + sizeHelp)
	}
	p := sizeParser{text: strings.ToLower(s)}
	size, err := p.expression(0)
	if p.space(); err == nil && p.at < len(p.text) {
		err = fmt.Errorf("unexpected %q", p.text[p.at:])
	}
	if err != nil {
		return Size{}, fmt.Errorf("%q is not a size (%w); %s", s, err, sizeHelp)
	}
	return size, nil
}

// Bytes is the size on a machine with ram bytes of memory. It saturates.
func (s Size) Bytes(ram uint64) uint64 {
	if s.fold == "" {
		if s.den == 0 {
			return s.bytes
		}
		hi, lo := bits.Mul64(ram, s.num)
		if hi >= s.den {
			return 1<<64 - 1
		}
		q, _ := bits.Div64(hi, lo, s.den)
		return q
	}
	out := s.parts[0].Bytes(ram)
	for _, p := range s.parts[1:] {
		if s.fold == "min" {
			out = min(out, p.Bytes(ram))
		} else {
			out = max(out, p.Bytes(ram))
		}
	}
	return out
}

// sizeParser is a recursive descent over one line.
type sizeParser struct {
	text string
	at   int
}

func (p *sizeParser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

func (p *sizeParser) take(s string) bool {
	p.space()
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *sizeParser) while(in string) string {
	p.space()
	from := p.at
	for p.at < len(p.text) && strings.IndexByte(in, p.text[p.at]) >= 0 {
		p.at++
	}
	return p.text[from:p.at]
}

func (p *sizeParser) expression(depth int) (Size, error) {
	for _, fold := range []string{"min", "max"} {
		if !p.take(fold) {
			continue
		}
		if depth > 4 {
			return Size{}, errors.New("nested too deeply")
		}
		if !p.take("(") {
			return Size{}, fmt.Errorf("%s needs a parenthesis", fold)
		}
		s := Size{fold: fold}
		for {
			part, err := p.expression(depth + 1)
			if err != nil {
				return Size{}, err
			}
			s.parts = append(s.parts, part)
			if p.take(")") {
				return s, nil
			}
			if !p.take(",") {
				return Size{}, fmt.Errorf("%s has no closing parenthesis", fold)
			}
		}
	}
	if p.take("ram") {
		s := Size{num: 1, den: 1}
		switch {
		case p.take("/"):
			n, err := p.integer()
			if err != nil || n == 0 {
				return Size{}, errors.New("ram/ needs a whole number above 0")
			}
			s.den = n
		case p.take("*"):
			num, den, err := p.decimal()
			if err != nil {
				return Size{}, err
			}
			s.num, s.den = num, den
		}
		return s, nil
	}
	num, den, err := p.decimal()
	if err != nil {
		return Size{}, err
	}
	unit := p.while("%bkmgi")
	if unit == "%" {
		if num > 1<<40 {
			return Size{}, errors.New("too many percent")
		}
		return Size{num: num, den: den * 100}, nil
	}
	scale, ok := map[string]uint64{
		"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 1e3, "mb": 1e6, "gb": 1e9,
	}[unit]
	if !ok {
		return Size{}, fmt.Errorf("unknown unit %q", unit)
	}
	hi, lo := bits.Mul64(num, scale)
	if hi >= den {
		return Size{}, errors.New("too large")
	}
	q, _ := bits.Div64(hi, lo, den)
	return Size{bytes: q}, nil
}

func (p *sizeParser) integer() (uint64, error) {
	return strconv.ParseUint(p.while("0123456789"), 10, 32)
}

// decimal reads 12 or 1.5 as a fraction, exact where a float would not be.
func (p *sizeParser) decimal() (num, den uint64, err error) {
	digits := p.while("0123456789")
	if digits == "" {
		return 0, 0, errors.New("a number was expected")
	}
	den = 1
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		after := p.while("0123456789")
		if after == "" || len(after) > 6 {
			return 0, 0, errors.New("one to six digits were expected after the point")
		}
		digits += after
		for range after {
			den *= 10
		}
	}
	num, err = strconv.ParseUint(digits, 10, 62)
	if err != nil {
		return 0, 0, errors.New("too large")
	}
	return num, den, nil
}
