// Package page holds the kiosk page and the visitors' pages: plain ES modules,
// embedded, no build step.
package page
