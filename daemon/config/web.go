package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Web is the [web] table: who listens where.
type Web struct {
	Listen        string   `toml:"listen"`         // address of the pages, "127.0.0.1:8080"
	MetricsListen string   `toml:"metrics-listen"` // address of /metrics, "127.0.0.1:9101"; empty: none
	Hosts         []string `toml:"hosts"`          // further names this machine is called by

	VisitorAddress string `toml:"visitor-address"` // host, and port if need be, in the visitors' code; empty: found out
}

func defaultWeb() Web {
	return Web{Listen: "127.0.0.1:8080", MetricsListen: "127.0.0.1:9101"}
}

func (w Web) check(bad func(key, found, allowed string)) {
	const listen = "write an address and a port such as \"127.0.0.1:8080\", or \":80\" for every address of the machine"
	if !isListen(w.Listen) {
		bad("listen", fmt.Sprintf("found %q", w.Listen), listen)
	}
	if w.MetricsListen != "" && !isListen(w.MetricsListen) {
		bad("metrics-listen", fmt.Sprintf("found %q", w.MetricsListen), listen+", or \"\" for none")
	}
	if w.VisitorAddress != "" && !isHostname(w.VisitorAddress) && !isHostPort(w.VisitorAddress) && !isAddress(w.VisitorAddress) {
		bad("visitor-address", fmt.Sprintf("found %q", w.VisitorAddress), "write a name or an address, with a port where it is not 80, such as \"192.168.1.20:8080\"")
	}
	for i, h := range w.Hosts {
		if _, err := netip.ParseAddr(h); err != nil && !isHostname(h) {
			bad(fmt.Sprintf("hosts[%d]", i), fmt.Sprintf("found %q", h), "write a name or an address alone, without http:// and without a port, such as \"wall.example.org\"")
		}
	}
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isListen reports whether net.Listen can make sense of it: the host may be empty.
func isListen(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	_ = n // 0 lets the kernel choose
	if err != nil || host == "" {
		return err == nil
	}
	_, err = netip.ParseAddr(host)
	return err == nil || isHostname(host)
}

// isHostPort is an address that can be dialled.
func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != "0" && isListen(s)
}

var hostname = newPattern(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*\.?$`)

func isHostname(s string) bool { return len(s) <= 253 && hostname.matches(s) }
