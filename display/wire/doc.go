// Package wire is the frame format that travels from the daemon to its screens,
// its encoder and its decoder. The JavaScript decoder in display/page reads the
// same test vectors.
package wire
