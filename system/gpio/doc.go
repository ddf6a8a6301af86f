// Package gpio watches the optional button and drives the optional LED.
//
// A short press shows the next scene, a long one asks for an orderly power-off;
// what they do is the caller's business. The LED is lit while all is well, blinks
// while the supply is too weak, and is dark otherwise. Pins are BCM numbers; the
// button connects its pin to ground, the LED lights when its pin is high.
//
// The character device (/dev/gpiochip*, Linux 5.10 and later) is used through
// periph, and opened only on the machine itself. A machine without it, or a
// config without pins, is ErrAbsent: a state, not a failure.
package gpio
