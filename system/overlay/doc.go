// Package overlay switches the optional read-only root overlay.
package overlay
