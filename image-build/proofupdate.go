package imagebuild

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// updateSteps are an update that breaks and one that does not, and the system's own updates.
// They belong after the step that wants no error in the journal: a broken daemon leaves some.
func (p *proof) updateSteps() []bounded {
	m := time.Minute
	return []bounded{
		{"a newer package whose daemon changes the schema and ends: the version before is put back", 20 * m, func(ctx context.Context) error {
			return p.brokenUpdate(ctx, "ends", daemonThatEnds)
		}},
		{"a newer package whose daemon is never ready: the version before is put back", 25 * m, func(ctx context.Context) error {
			return p.brokenUpdate(ctx, "hangs", "#!/bin/sh\nexec sleep infinity\n")
		}},
		{"a newer package that runs is kept", 15 * m, p.goodUpdate},
		{"security updates as the config says", 5 * m, p.securityUpdates},
	}
}

// daemonThatEnds does what a newer daemon with a newer schema does before it fails: it keeps
// the database beside it, and leaves one that the version before cannot read.
const daemonThatEnds = `#!/bin/sh
cd /var/lib/sierpi && python3 - <<'PY'
import os,shutil,sqlite3
c=sqlite3.connect("sierpi.db")
v=c.execute("select max(version_id) from goose_db_version").fetchone()[0]
if v<9999:
    c.execute("vacuum into ?",("sierpi-schema-%d.db"%v,))
    c.execute("insert into goose_db_version (version_id,is_applied) values (9999,1)")
    c.execute("delete from chat_message")
    c.commit()
PY
exit 1
`

// buildUpdate packs the installed package again under a later version, with a program of
// its own in the daemon's place where there is one, and installs it as apt does.
func (p *proof) buildUpdate(ctx context.Context, suffix, program string) error {
	script := `set -e
d=$(mktemp -d); chmod 755 $d
dpkg-query --listfiles sierpi | while read -r f; do
  if [ -f "$f" ] && [ ! -h "$f" ]; then mkdir -p "$d${f%/*}"; cp -p "$f" "$d$f"; fi
done
mkdir $d/DEBIAN
for s in preinst postinst prerm postrm; do cp /var/lib/dpkg/info/sierpi.$s $d/DEBIAN/$s; done
dpkg-query --status sierpi | grep -vE '^(Status|Conffiles):' | sed 's/^Version: .*/&+` + suffix + `/' >$d/DEBIAN/control
` + replaceProgram(program) + `dpkg-deb -Zgzip -z1 --root-owner-group --build $d /var/tmp/update.deb >/dev/null
rm -rf $d
DEBIAN_FRONTEND=noninteractive apt-get install -y -q /var/tmp/update.deb
`
	if err := p.v.line.write(ctx, "/tmp/update.sh", script); err != nil {
		return err
	}
	_, err := p.v.line.run(ctx, "sh /tmp/update.sh >/tmp/update.log 2>&1 || { tail -5 /tmp/update.log; false; }")
	return err
}

// replaceProgram is the script's part that puts another program into the package.
func replaceProgram(program string) string {
	if program == "" {
		return ""
	}
	return "cat >$d/usr/bin/sierpi <<'PROGRAM'\n" + program + "PROGRAM\n"
}

// settled waits until the update is decided.
func (p *proof) settled(ctx context.Context) error {
	_, err := p.v.line.run(ctx, "while [ -e /var/lib/sierpi-system/update-pending ]; do sleep 2; done; until systemctl -q is-active sierpi.service; do sleep 1; done")
	return err
}

// brokenUpdate installs a package whose daemon does not start, and holds that everything is
// as it was, and that it is said.
func (p *proof) brokenUpdate(ctx context.Context, suffix, program string) error {
	before, err := p.v.line.run(ctx, "sierpi version; sha256sum /usr/bin/sierpi")
	if err != nil {
		return err
	}
	message := "written before the update that " + suffix
	if err := p.chat(ctx, message); err != nil {
		return err
	}
	start := time.Now()
	if err := p.buildUpdate(ctx, suffix, program); err != nil {
		return err
	}
	if err := p.check(ctx, "dpkg-query -W -f '${Version}' sierpi", `\+`+suffix+`$`); err != nil {
		return err
	}
	if err := p.settled(ctx); err != nil {
		return err
	}
	p.figure("the version before was put back %s after the package with the daemon that %s was begun", human(time.Since(start)), suffix)
	after, err := p.v.line.run(ctx, "sierpi version; sha256sum /usr/bin/sierpi")
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("installed is %q, before it was %q", after, before)
	}
	health, err := get(ctx, p.http+"/healthz")
	if err != nil {
		return err
	}
	if !strings.Contains(health, "was put back") {
		return fmt.Errorf("/healthz does not say that a version was put back: %.600s", health)
	}
	if err := p.lobby(ctx, message, true); err != nil {
		return err
	}
	return p.check(ctx, "journalctl -b -u sierpi-update.service -o cat --no-pager | tail -5", "is back")
}

// goodUpdate installs a later version that runs.
func (p *proof) goodUpdate(ctx context.Context) error {
	if err := p.buildUpdate(ctx, "good", ""); err != nil {
		return err
	}
	if err := p.settled(ctx); err != nil {
		return err
	}
	health, err := get(ctx, p.http+"/healthz")
	if err != nil {
		return err
	}
	if !strings.Contains(health, "updated from") && !strings.Contains(health, `"update"`) {
		return fmt.Errorf("/healthz says nothing of the update: %.600s", health)
	}
	return p.check(ctx, "sierpi updates status", `(?s)updated from .* to .*\+good`)
}

// securityUpdates holds that the config reaches unattended-upgrades and its timer, both ways.
func (p *proof) securityUpdates(ctx context.Context) error {
	for _, c := range []struct{ conf, want string }{
		{`[updates]\ntime = "03:20"\nreboot = "04:40"\n`, `(?s)Unattended-Upgrade "1".*Automatic-Reboot-Time "04:40".*03:20`},
		{`[updates]\nsecurity = false\n`, `(?s)Unattended-Upgrade "0"`},
	} {
		for _, command := range []string{"printf '" + c.conf + "' >/etc/sierpi/sierpi.toml", "sierpi config check", "sierpi updates apply"} {
			if _, err := p.v.line.run(ctx, command); err != nil {
				return err
			}
		}
		if err := p.check(ctx, "apt-config dump | grep -E '^(APT::Periodic::Unatt|Unattended-Upgrade::Automatic-Reboot)'; systemctl cat apt-daily-upgrade.timer | grep OnCalendar", c.want); err != nil {
			return err
		}
	}
	if _, err := p.v.line.run(ctx, "rm -f /etc/sierpi/sierpi.toml && sierpi updates apply && systemctl restart sierpi.service"); err != nil {
		return err
	}
	return p.check(ctx, "systemctl is-active apt-daily-upgrade.timer", "^active$")
}
