package fetch

import (
	"fmt"
	"net/netip"
	"syscall"
)

type controlFunc func(network, address string, c syscall.RawConn) error

// notPublic lists the networks that are not the public Internet: IANA's IPv4 and
// IPv6 special-purpose address registries, multicast, and the IPv6 prefixes that
// carry an IPv4 address which a gateway would unpack behind our back.
var notPublic = prefixes(
	"0.0.0.0/8",       // this network; Linux connects to the local host
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier-grade NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local; cloud metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarking
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"::/96",           // unspecified, loopback, IPv4-compatible
	"64:ff9b::/96",    // NAT64
	"64:ff9b:1::/48",  // NAT64, local
	"100::/64",        // discard
	"2001::/23",       // protocol assignments, Teredo
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"3fff::/20",       // documentation
	"5f00::/16",       // segment routing
	"fc00::/7",        // unique local
	"fe80::/10",       // link-local
	"fec0::/10",       // site-local
	"ff00::/8",        // multicast
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// refusePrivate runs after the name was looked up and before the connection is
// made, for every address that is tried: a name that resolves to a public
// address first and a private one later gets nowhere.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: cannot tell what %q is", ErrDenied, address)
	}
	if !public(ap.Addr()) {
		return fmt.Errorf("%w (%s): list its host under allow-private in [feed] if it is meant to be read", ErrDenied, ap.Addr())
	}
	return nil
}

// inListed tells whether an address is in a network that the owner listed.
func (c *Client) inListed(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range c.networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// refuseUnlisted is refusePrivate but for the listed networks.
func (c *Client) refuseUnlisted(network, address string, conn syscall.RawConn) error {
	if ap, err := netip.ParseAddrPort(address); err == nil && c.inListed(ap.Addr()) {
		return nil
	}
	return refusePrivate(network, address, conn)
}
