// Package framebuffer paints frames to a Linux framebuffer without a browser, for
// boards too small for one.
package framebuffer
