// Package fetch reads addresses on other machines politely and safely.
//
// A Client is bounded in size (decompressed), time and redirects, asks one host
// at a time, and connects to no private network unless the owner listed the
// host; that is decided on the address itself, after the name was looked up and
// again on every redirect. A Poll decides, from what the publisher answers, when
// an address is asked again, and can always say why not yet.
package fetch
