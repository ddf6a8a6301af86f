// Package gpio watches the optional button and drives the optional LED.
package gpio
