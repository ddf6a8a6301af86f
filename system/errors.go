package system

import "errors"

// ExitCode is what a command of the machine layer ends with, so that units and
// scripts can tell apart what a person must do.
type ExitCode int

// The codes.
const (
	ExitOK         ExitCode = 0
	ExitFailed     ExitCode = 1 // something failed that should have worked
	ExitConfig     ExitCode = 2 // the command line or the config asks for nonsense
	ExitImpossible ExitCode = 3 // this machine or kernel cannot do it
	ExitOwned      ExitCode = 4 // somebody else owns it; sierpi keeps its hands off
	ExitNotNow     ExitCode = 5 // it may work later: memory is short, a device is held
)

// Error is an error of the machine layer: what was being done and why it did
// not work (Err), what to do about it (Remedy, a sentence or empty), and the
// exit code of a command that ends with it.
type Error struct {
	Code   ExitCode
	Err    error
	Remedy string
}

// Error is what went wrong and what to do about it, in one line.
func (e *Error) Error() string {
	if e.Remedy == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + "; " + e.Remedy
}

// Unwrap gives errors.Is and As the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCodeOf is the exit code for any error, nil included.
func ExitCodeOf(err error) ExitCode {
	var e *Error
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		return e.Code
	}
	return ExitFailed
}
