package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// fullCard fills the root to its last block, root's own share included, and holds that the
// wall, the chat's reading and the login on the line go on, that it is said, that a restart
// and a boot are no matter, and that all is as before when there is room again. It needs a root
// shell and leaves one.
func (p *proof) fullCard(ctx context.Context) error {
	m := time.Minute
	const before, after = "before the card was full", "after there was room again"
	if err := p.inTurn(ctx, "a card at 100 %: wall, chat reading and a login on the line, over a restart and a boot; writing again with the first room", []bounded{
		{"full card: filled to the last block", 10 * m, func(ctx context.Context) error {
			if err := p.chat(ctx, before); err != nil {
				return err
			}
			// Most of it in one piece; what is left, and what the journal frees meanwhile, by writing.
			if _, err := p.v.line.run(ctx, "fallocate -l $(( $(stat -f -c '%f*%S' /) - 8388608 )) /var/fill; cat /dev/zero >>/var/fill2; sync; cat /dev/zero >>/var/fill3; sync; true"); err != nil {
				return err
			}
			return p.check(ctx, "stat -f -c %a /; echo x >/var/fill4; cat /var/fill4", `(?s)^0\s.*No space left`)
		}},
		{"full card: the wall, the chat's reading, /healthz and the doctor say what they must", 6 * m, func(ctx context.Context) error { return p.onFullCard(ctx, before) }},
		{"full card: a new login on the serial line", 3 * m, p.loginAgain},
		{"full card: the daemon restarted", 6 * m, func(ctx context.Context) error {
			if _, err := p.v.line.run(ctx, "systemctl restart sierpi.service"); err != nil {
				return err
			}
			return p.onFullCard(ctx, before)
		}},
		{"full card: the machine restarted, to a login on the serial line", 20 * m, func(ctx context.Context) error {
			// Debian's own, which notes the good boot on the card.
			if err := p.again(ctx, "grub-common.service"); err != nil {
				return err
			}
			return p.onFullCard(ctx, before)
		}},
		{"full card: room again, and everything by itself", 6 * m, func(ctx context.Context) error {
			if _, err := p.v.line.run(ctx, "rm /var/fill*; sync; systemctl start grub-common.service"); err != nil {
				return err
			}
			if err := p.chat(ctx, after); err != nil {
				return err
			}
			if state, why, err := p.part(ctx, "storage"); err != nil || state == "failed" {
				return errors.Join(fmt.Errorf("the storage is said to be %s: %s", state, why), err)
			}
			if _, err := p.v.line.run(ctx, "sierpi doctor"); err != nil {
				return err
			}
			return p.units(ctx)
		}},
	}); err != nil {
		// What comes after must not fail for this.
		_, e := p.v.line.run(context.WithoutCancel(ctx), "systemctl status --no-pager -n 20 sierpi.service; rm -f /var/fill*; sync")
		return errors.Join(err, e)
	}
	return nil
}

// onFullCard is how it is while there is no room.
func (p *proof) onFullCard(ctx context.Context, message string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the screen
	wall, err := p.newScreen(ctx)
	if err != nil {
		return err
	}
	if err := wall.paints(ctx, 20); err != nil {
		return err
	}
	if err := p.lobby(ctx, message, true); err != nil {
		return err
	}
	if state, why, err := p.part(ctx, "storage"); err != nil || state != "failed" || !strings.Contains(why, "full") {
		return errors.Join(fmt.Errorf("/healthz says of the storage %q: %q", state, why), err)
	}
	if state, why, err := p.part(ctx, "store"); err != nil || state != "ok" {
		return errors.Join(fmt.Errorf("/healthz says of the store %q: %q", state, why), err)
	}
	if page, err := get(ctx, p.http+"/health"); err != nil || !strings.Contains(page, "the card is full") {
		return errors.Join(fmt.Errorf("the page /health does not say it: %.300s", page), err)
	}
	// What room there is in the database's own files takes a few; then it is refused, with the reason.
	for i := 0; ; i++ {
		status, said, err := p.say(ctx, fmt.Sprintf("without room %d %s", i, strings.Repeat("x", 1500)))
		if err != nil {
			return fmt.Errorf("after %d messages that a full card took: %w", i, err)
		}
		if status == http.StatusOK {
			continue
		}
		if status != http.StatusInsufficientStorage || !strings.Contains(said, "full") {
			return fmt.Errorf("writing on a full card: status %d: %.300s", status, said)
		}
		break
	}
	return p.check(ctx, "sierpi doctor; systemctl is-active sierpi.service", `(?s)trouble +storage .*almost full.*\nactive$`)
}

// loginAgain ends both shells on the line and logs in anew.
func (p *proof) loginAgain(ctx context.Context) error {
	for _, prompt := range []string{`\$ ?$`, `proof login: ?$`} {
		if err := p.v.line.send(ctx, "exit"); err != nil {
			return err
		}
		if _, _, err := p.v.line.expect(ctx, prompt); err != nil {
			return err
		}
	}
	if err := p.v.line.login(ctx, proofUser, proofPassword); err != nil {
		return err
	}
	return p.v.line.become(ctx, proofPassword)
}

// clock starts the machine, which must be off, with its clock at 1970 and nobody to ask for
// the time, and then sets it right: the pages, a login, a session, a screen, the feed, the chat and
// the figures must not mind. It leaves the machine off.
func (p *proof) clock(ctx context.Context, accel []string) error {
	m := time.Minute
	const first = "clock: booted at 1970, to a login on ttyS0"
	if p.leftOut(first) { // what follows needs it
		return nil
	}
	p.v.stop()
	if err := p.startPC("pc-1970", accel, "-rtc", "base=1970-01-01T00:00:00"); err != nil {
		return err
	}
	long, cancel := context.WithCancel(ctx) // the screen goes through several steps
	defer cancel()
	var owner *http.Client
	var wall *screen
	var before string
	return p.inTurn(ctx, "1970 and then now: pages, login, the owner's session, the wall, feed, chat with a poll, and figures answered in both; no restart", []bounded{
		{first, 20 * m, func(ctx context.Context) error {
			if _, _, err := p.v.line.expect(ctx, `proof login: ?$`); err != nil {
				return err
			}
			if err := p.v.line.login(ctx, proofUser, proofPassword); err != nil {
				return err
			}
			if err := p.v.line.become(ctx, proofPassword); err != nil {
				return err
			}
			out, err := p.v.line.run(ctx, "dmesg | grep -o 'setting system clock to [^ ]*' | cut -d' ' -f5; date -u +%FT%TZ")
			if err == nil {
				f := append(strings.Fields(out), "?", "?")
				p.figure("booted with the hardware's clock at 1970: the kernel said %s, after the boot it was %s", f[0], f[1])
			}
			return err
		}},
		{"clock: our units active, none failed", 6 * m, func(ctx context.Context) error { return p.units(ctx) }},
		// systemd itself does not go back behind its own building: by hand, as far as the kernel lets one.
		{"clock: set to the second day of 1970, and the daemon started then", 6 * m, func(ctx context.Context) error {
			if _, err := p.v.line.run(ctx, "timedatectl set-ntp false; date -u -s '1970-01-02 00:00:00' && systemctl restart sierpi.service"); err != nil {
				return err
			}
			secret, err := p.v.line.run(ctx, "sierpi owner reset-secret --state /var/lib/sierpi")
			if err != nil {
				return err
			}
			if owner, err = p.signIn(ctx, secret); err != nil {
				return err
			}
			if wall, err = p.newScreen(long); err != nil {
				return err
			}
			before, err = p.v.line.run(ctx, "systemctl show -P MainPID -P NRestarts sierpi.service")
			return err
		}},
		{"clock: everything answers in 1970", 6 * m, func(ctx context.Context) error { return p.inAnyYear(ctx, owner, wall, "1970", "") }},
		{"clock: set right; a session, a screen and a poll of before go on", 6 * m, func(ctx context.Context) error {
			if _, err := p.v.line.run(ctx, fmt.Sprintf("date -u -s @%d", time.Now().Unix())); err != nil {
				return err
			}
			if err := p.inAnyYear(ctx, owner, wall, time.Now().UTC().Format("2006"), "1970"); err != nil {
				return err
			}
			// Longer than the watchdog's patience.
			select {
			case <-time.After(40 * time.Second):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			after, err := p.v.line.run(ctx, "systemctl show -P MainPID -P NRestarts sierpi.service")
			if err == nil && after != before {
				err = fmt.Errorf("the daemon was restarted: its process and restarts were %q and are %q", before, after)
			}
			return err
		}},
		{"clock: a new login on the serial line", 3 * m, func(ctx context.Context) error { return p.loginAgain(ctx) }},
		{"clock: the journal has no error of ours", 2 * m, func(ctx context.Context) error { return p.journal(ctx) }},
		{"clock: power off", 6 * m, func(ctx context.Context) error { return p.poweroff(ctx) }},
	})
}

// inAnyYear asks for everything that a visitor, the owner and Prometheus see. What was
// written in the other year must still be there.
func (p *proof) inAnyYear(ctx context.Context, owner *http.Client, wall *screen, year, other string) error {
	if err := p.check(ctx, "date -u +%Y", "^"+year+"$"); err != nil {
		return err
	}
	for _, path := range []string{"/", "/feed", "/feed.rss", "/quotes", "/quotes/today", "/health", "/healthz", "/readyz", "/life", "/cutout"} {
		if _, err := get(ctx, p.http+path); err != nil {
			return err
		}
	}
	if err := p.polled(ctx, "written in "+year); err != nil {
		return err
	}
	room, err := get(ctx, p.http+"/chat/lobby")
	if err != nil || !strings.Contains(room, "written in "+year) || !strings.Contains(room, "written in "+other) {
		return errors.Join(fmt.Errorf("the chat lacks what was written in %s or %s", year, other), err)
	}
	figures, err := get(ctx, p.metrics+"/metrics")
	if err != nil || !strings.Contains(figures, `sierpi_part_state{part="pages",state="ok"} 1`) {
		return errors.Join(fmt.Errorf("/metrics does not say that the pages are well: %.300s", figures), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.http+"/quotes/hidden", nil)
	if err != nil {
		return err
	}
	res, err := owner.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the owner's session is not taken in %s: %s", year, res.Status)
	}
	return wall.paints(ctx, 20)
}
