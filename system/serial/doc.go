// Package serial plans and applies the login on the serial line.
package serial
