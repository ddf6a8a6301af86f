// Package kiosk starts and watches the browser in the LXDE session.
package kiosk
