package imagebuild

import (
	"context"
	"errors"
	"time"
)

const (
	radioIn  = "modprobe mac80211_hwsim radios=2"
	radioOut = "rmmod mac80211_hwsim"
	apOn     = "systemd-run --quiet --collect --unit proof-ap wpa_supplicant -i wlan1 -D nl80211 -c /run/ap.conf"
	// As by a plug that is pulled: nobody is told.
	apOff = "systemctl kill -s KILL proof-ap; ip link set wlan1 down"
	// The machine's own address on the air.
	airAddress = "ip -4 -o addr show wlan0 2>/dev/null | grep -o '10\\.99\\.0\\.[0-9]*/' | tr -d /"
)

// radio holds the Wi-Fi as the first boot has configured it: joined when the network
// is there, joined again when it was gone, and when the radio itself was; the cable's pages
// answer all the time, from one and the same daemon. It needs a root shell.
func (p *proof) radio(ctx context.Context) error {
	m := time.Minute
	// air are the files of an access point on wlan1, the second of the kernel's simulated radios, with
	// the network that the boot partition names. It has a routing table of its own, so that what it and
	// the machine's wlan0 say to each other goes through the air, and gives addresses by DHCP.
	air := map[string]string{
		"/run/systemd/network/05-air.netdev":  "[NetDev]\nName=air\nKind=vrf\n[VRF]\nTable=77\n",
		"/run/systemd/network/05-air.network": "[Match]\nName=air\n[Link]\nRequiredForOnline=no\n",
		"/run/systemd/network/06-ap.network":  "[Match]\nName=wlan1\n[Link]\nRequiredForOnline=no\n[Network]\nVRF=air\nAddress=10.99.0.1/24\nDHCPServer=yes\n",
		"/run/ap.conf":                        "country=DE\nnetwork={\nssid=\"nowhere\"\nmode=2\nfrequency=2412\nkey_mgmt=WPA-PSK\nproto=RSN\npairwise=CCMP\npsk=\"" + proofWiFi + "\"\n}\n",
	}
	var daemon string
	var errs []error
	if err := p.inTurn(ctx, "", []bounded{
		{"Wi-Fi: a radio appears, and its network is not there", 6 * m, func(ctx context.Context) (err error) {
			if daemon, err = p.v.line.run(ctx, "systemctl show -P MainPID sierpi.service"); err != nil {
				return err
			}
			if _, err := p.v.line.run(ctx, "mkdir -p /run/systemd/network"); err != nil {
				return err
			}
			for path, text := range air {
				if err := p.v.line.write(ctx, path, text); err != nil {
					return err
				}
			}
			// networkd takes away rules that are not its own, unless they are the kernel's.
			if _, err := p.v.line.run(ctx, "networkctl reload && ip rule add pref 32765 table local protocol kernel && ip rule del pref 0 && "+radioIn); err != nil {
				return err
			}
			// Nobody starts it but the radio.
			_, err = p.v.line.run(ctx, "until wpa_cli -i wlan0 status 2>/dev/null | grep -q SCANNING; do sleep 1; done; systemctl is-active wpa_supplicant@wlan0.service && iw reg get | grep 'country DE'")
			return err
		}},
		{"Wi-Fi: joined", 6 * m, func(ctx context.Context) error { return p.joins(ctx, apOn, "joined") }},
		{"Wi-Fi: the access point loses its power", 6 * m, func(ctx context.Context) error { return p.parts(ctx, apOff) }},
		{"Wi-Fi: joined again", 6 * m, func(ctx context.Context) error { return p.joins(ctx, apOn, "joined again") }},
		{"Wi-Fi: the radio pulled out", 6 * m, func(ctx context.Context) error { return p.parts(ctx, "systemctl stop proof-ap; "+radioOut) }},
		{"Wi-Fi: the radio plugged in again", 6 * m, func(ctx context.Context) error {
			return p.joins(ctx, radioIn+" && "+apOn, "joined again with a radio plugged in anew")
		}},
		{"Wi-Fi: the same daemon all the time, our units active", 6 * m, func(ctx context.Context) error {
			if err := p.check(ctx, "systemctl show -P MainPID sierpi.service", "^"+daemon+"$"); err != nil {
				return err
			}
			return p.units(ctx)
		}},
	}); err != nil {
		_, e := p.v.line.run(context.WithoutCancel(ctx), "journalctl -b -n 40 --no-pager -u proof-ap -u wpa_supplicant@wlan0 -u systemd-networkd; ip addr; true")
		errs = append(errs, err, e)
	}
	return errors.Join(append(errs, p.step(ctx, "Wi-Fi: the radios taken away", 3*m, func(ctx context.Context) error {
		_, err := p.v.line.run(ctx, "systemctl stop proof-ap; "+radioOut+"; ip rule add pref 0 table local protocol kernel && ip rule del pref 32765; ip link del air; rm -f /run/ap.conf /run/systemd/network/05-air.* /run/systemd/network/06-ap.network; networkctl reload")
		return err
	}))...)
}

// joins runs a command on the machine, waits for an address on the air, and asks for a page from
// the other side.
func (p *proof) joins(ctx context.Context, command, what string) error {
	seconds, err := p.v.line.run(ctx, "s=$(cut -d. -f1 /proc/uptime); "+command+"; until ["+" \"$("+airAddress+")\" ]; do sleep 1; done; echo $(( $(cut -d. -f1 /proc/uptime) - s ))")
	if err != nil {
		return err
	}
	if err := p.check(ctx, "a=$("+airAddress+"); r=$(cat /sys/class/net/wlan0/statistics/rx_packets); "+
		"for i in $(seq 10); do said=$(ip vrf exec air timeout 20 "+ask("'$a'", "/healthz")+"); [ \"$said\" ] && break; sleep 2; done; "+
		"echo \"$said\" | tail -n 1; [ $(cat /sys/class/net/wlan0/statistics/rx_packets) -gt $r ]", `"name":"pages","state":"ok"`); err != nil {
		return err
	}
	p.figure("Wi-Fi %s, with an address and a page from the other side: %s s", what, seconds)
	return nil
}

// parts runs a command on the machine and waits until nothing is left of the network; the
// cable's pages answer meanwhile.
func (p *proof) parts(ctx context.Context, command string) error {
	if _, err := p.v.line.run(ctx, command+"; while [ \"$("+airAddress+")\" ]; do sleep 1; done"); err != nil {
		return err
	}
	_, err := get(ctx, p.http+"/")
	return err
}
