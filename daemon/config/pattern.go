package config

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first asked: each
// command of sierpi starts with this package, most have no use for any, and on a
// Pi 1 they took longer than all else of it.
type pattern func() *regexp.Regexp

func newPattern(expression string) pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

func (p pattern) matches(s string) bool { return p().MatchString(s) }
