package imagebuild

import (
	"context"
	"errors"
	"time"
)

// finger moves pin 5 of the board's GPIO controller by the registers that set an output: QEMU's
// model keeps one level for a pin, whatever its direction, so that an input reads it too.
// (Debian's kernels have no gpio-sim.) "hold" presses and "open" lets go; "once" lets go when it is told to,
// "twice" presses again after that.
const finger = `import ctypes,mmap,os,subprocess,sys,time
r=(ctypes.c_uint32*48).from_buffer(mmap.mmap(os.open("/dev/mem",os.O_RDWR|os.O_SYNC),4096,offset=0x3f200000))
def button(down):
    r[10 if down else 7]=1<<5
if sys.argv[1] in ("hold","open"):
    button(sys.argv[1]=="hold")
else:
    while b"let it go" not in subprocess.run(["journalctl","-b","-q","-o","cat","-u","sierpi-reset.service"],capture_output=True).stdout: time.sleep(.3)
    button(False)
    time.sleep(1)
    if sys.argv[1]=="twice":
        button(True)
        time.sleep(2)
        button(False)
`

// button holds a button at boot: let go and not pressed again it changes nothing, pressed once
// more it resets the machine, whose users stay. It needs a root shell, boots the machine twice
// and leaves a shell.
func (p *proof) button(ctx context.Context) error {
	m := time.Minute
	const kept = "before the button"
	boot := func(ctx context.Context, how, said string) error {
		if _, err := p.v.line.run(ctx, "sed -i 's,^ExecStart=.*,ExecStart=/usr/bin/python3 /etc/finger "+how+",' /etc/systemd/system/proof-finger.service"); err != nil {
			return err
		}
		if err := p.again(ctx); err != nil {
			return err
		}
		if err := p.units(ctx); err != nil {
			return err
		}
		return p.check(ctx, "journalctl -b -q -o cat -u sierpi-reset.service", said)
	}
	return errors.Join(p.inTurn(ctx, "a button held at boot: let go it reset nothing, pressed again it reset the machine, whose user logged in as before", []bounded{
		{"button: wired", 4 * m, func(ctx context.Context) error {
			if err := p.chat(ctx, kept); err != nil {
				return err
			}
			for path, text := range map[string]string{
				"/etc/finger":                              finger,
				"/etc/systemd/system/proof-hold.service":   "[Unit]\nDefaultDependencies=no\nAfter=systemd-journald.service local-fs.target\nBefore=sierpi-reset.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/python3 /etc/finger hold\n[Install]\nWantedBy=sysinit.target\n",
				"/etc/systemd/system/proof-finger.service": "[Unit]\nDefaultDependencies=no\nAfter=proof-hold.service\n[Service]\nExecStart=/usr/bin/python3 /etc/finger once\n[Install]\nWantedBy=sysinit.target\n",
			} {
				if err := p.v.line.write(ctx, path, text); err != nil {
					return err
				}
			}
			// A pin nobody has moved is low, which the daemon takes for the press that switches off.
			if _, err := p.v.line.run(ctx, "python3 /etc/finger open"); err != nil {
				return err
			}
			if err := p.restartWith(ctx, "[gpio]\nbutton = 5\n"); err != nil {
				return err
			}
			_, err := p.v.line.run(ctx, "systemctl --quiet enable proof-hold.service proof-finger.service")
			return err
		}},
		{"button: held at boot, let go, and not pressed again: nothing is reset", 20 * m, func(ctx context.Context) error {
			if err := boot(ctx, "once", `(?s)the button is held.*let it go.*not pressed again: nothing is reset`); err != nil {
				return err
			}
			return p.asked(ctx, kept, "[1-9][0-9]*")
		}},
		{"button: held at boot, let go, and pressed again: reset", 20 * m, func(ctx context.Context) error {
			if err := boot(ctx, "twice", `(?s)the button is held.*let it go.*sierpi was reset`); err != nil {
				return err
			}
			if err := p.asked(ctx, kept, "0"); err != nil {
				return err
			}
			return p.check(ctx, "grep -c '^button' /etc/sierpi/sierpi.toml || true", "^0$")
		}},
	}), p.step(ctx, "button: unwired", 4*m, func(ctx context.Context) error {
		if _, err := p.v.line.run(ctx, "systemctl --quiet disable --now proof-hold.service proof-finger.service; rm /etc/finger /etc/systemd/system/proof-*.service; systemctl daemon-reload"); err != nil {
			return err
		}
		return p.restartWith(ctx, "")
	}))
}

// asked counts on the machine itself the lines of the chat's room with a message: the network
// adapter that QEMU's board has is dead after a restart.
func (p *proof) asked(ctx context.Context, message, count string) error {
	return p.check(ctx, ask("127.0.0.1", "/chat/lobby")+" >/tmp/lobby; grep -q '200 OK' /tmp/lobby && grep -c '"+message+"' /tmp/lobby || true", "^"+count+"$")
}

// ask is the command that asks for a page on the machine itself, which has no curl.
func ask(address, path string) string {
	return "bash -c 'exec 3<>/dev/tcp/" + address + "/80; printf \"GET " + path + " HTTP/1.0\\r\\nHost: " + address + "\\r\\n\\r\\n\" >&3; cat <&3'"
}
