// Package kiosk starts the browser in the LXDE session and watches over it: the
// wall paints again, whatever happened, without anybody coming by.
//
// What the wall shows is not guessed here. The page tells the daemon what is on its
// canvas, the daemon compares it with its own picture, and the keeper asks the daemon
// (POST /display/outputs). What the daemon cannot see it asks the browser itself
// over a pipe that only the two of them hold: whether the page answers, and whether
// the picture is what is on view.
//
// A wall that does not paint is helped in steps, each only when the one before did
// not help: the page is opened anew, the browser started anew, the session,
// the machine. No step is taken before the wall has painted once or five minutes
// have passed since the browser was started, and the patience between them follows the time that
// the start took on this board. A browser that ended is started again at once, and a page whose
// process died is opened again: that is no step.
// The machine is rebooted at most once an hour and, until the wall painted again, at
// most three times; the record of it lies on disk before it happens.
package kiosk
