// Package fetch reads addresses on other machines politely and safely: bounded in
// size, time, redirects and decompression, conditional requests, back-off, and
// no connection to private networks unless the owner lists the host.
package fetch
