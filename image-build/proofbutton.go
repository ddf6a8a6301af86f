package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// finger is a button on line 5 of a PCA9554, an expander on an I2C bus whose registers
// i2c-stub keeps: the kernel's driver makes a GPIO chip of it, and what is written into its input
// register is the finger. "chip" plugs it in with the button held; "once" lets go when it is
// told to, "twice" presses again after that.
const finger = `import ctypes,fcntl,glob,os,subprocess,sys,time
class D(ctypes.Structure): _fields_=[("rw",ctypes.c_uint8),("cmd",ctypes.c_uint8),("size",ctypes.c_uint32),("p",ctypes.c_void_p)]
def bus():
    for n in glob.glob("/sys/bus/i2c/devices/i2c-*/name"):
        if "SMBus stub" in open(n).read(): return n.split("/")[-2]
def button(down):
    f=open("/dev/"+bus(),"r+b",buffering=0)
    fcntl.ioctl(f,0x0706,0x20)
    w=ctypes.create_string_buffer(bytes([0xdf if down else 0xff]),34)
    fcntl.ioctl(f,0x0720,D(0,0,2,ctypes.addressof(w)))
if sys.argv[1]=="chip":
    subprocess.run(["modprobe","-a","i2c-dev","gpio-pca953x"],check=True)
    subprocess.run(["modprobe","i2c-stub","chip_addr=0x20"],check=True)
    while not os.path.exists("/dev/"+bus()): time.sleep(.1)
    button(True)
    open("/sys/bus/i2c/devices/"+bus()+"/new_device","w").write("pca9554 0x20")
    while not os.path.exists("/dev/gpiochip0"): time.sleep(.1)
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
	if _, err := p.v.line.run(ctx, "modprobe -n i2c-stub && modprobe -n gpio-pca953x"); err != nil {
		p.figure("button at boot: this machine's kernel has no i2c-stub or no gpio-pca953x")
		return nil
	}
	m := time.Minute
	const kept = "before the button"
	boot := func(ctx context.Context, how, said string) error {
		if _, err := p.v.line.run(ctx, "sed -i 's,^ExecStart=.*,ExecStart=/usr/bin/python3 /etc/finger "+how+",' /etc/systemd/system/proof-finger.service"); err != nil {
			return err
		}
		if err := p.again(ctx); err != nil {
			return err
		}
		return p.check(ctx, "journalctl -b -q -o cat -u sierpi-reset.service", said)
	}
	return errors.Join(p.inTurn(ctx, []bounded{
		{"button: wired", 4 * m, func(ctx context.Context) error {
			if err := p.chat(ctx, kept); err != nil {
				return err
			}
			for path, text := range map[string]string{
				"/etc/finger":                              finger,
				"/etc/systemd/system/proof-chip.service":   "[Unit]\nDefaultDependencies=no\nAfter=systemd-journald.service local-fs.target\nBefore=sierpi-reset.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/python3 /etc/finger chip\n[Install]\nWantedBy=sysinit.target\n",
				"/etc/systemd/system/proof-finger.service": "[Unit]\nDefaultDependencies=no\nAfter=proof-chip.service\n[Service]\nExecStart=/usr/bin/python3 /etc/finger once\n[Install]\nWantedBy=sysinit.target\n",
			} {
				if _, err := p.v.line.run(ctx, "cat >"+path+" <<'EOF'\r"+strings.ReplaceAll(text, "\n", "\r")+"EOF\rtrue"); err != nil {
					return err
				}
			}
			if err := p.restartWith(ctx, "[gpio]\nbutton = 5\n"); err != nil {
				return err
			}
			_, err := p.v.line.run(ctx, "systemctl --quiet enable proof-chip.service proof-finger.service")
			return err
		}},
		{"button: held at boot, let go, and not pressed again: nothing is reset", 20 * m, func(ctx context.Context) error {
			if err := boot(ctx, "once", `(?s)the button is held.*let it go.*not pressed again: nothing is reset`); err != nil {
				return err
			}
			return p.lobby(ctx, kept, true)
		}},
		{"button: held at boot, let go, and pressed again: reset", 20 * m, func(ctx context.Context) error {
			if err := boot(ctx, "twice", `(?s)the button is held.*let it go.*sierpi was reset`); err != nil {
				return err
			}
			if err := p.lobby(ctx, kept, false); err != nil {
				return err
			}
			if err := p.check(ctx, "grep -c '^button' /etc/sierpi/sierpi.toml || true", "^0$"); err != nil {
				return err
			}
			if err := p.units(ctx); err != nil {
				return err
			}
			p.figure("a button held at boot: let go it reset nothing, pressed again it reset the machine, whose user logged in as before")
			return nil
		}},
	}), p.step(ctx, "button: unwired", 4*m, func(ctx context.Context) error {
		if _, err := p.v.line.run(ctx, "systemctl --quiet disable --now proof-chip.service proof-finger.service; rm /etc/finger /etc/systemd/system/proof-*.service; systemctl daemon-reload; modprobe -r gpio-pca953x i2c-stub"); err != nil {
			return err
		}
		return p.restartWith(ctx, "")
	}))
}

// lobby holds whether the chat's room has a message.
func (p *proof) lobby(ctx context.Context, message string, has bool) error {
	page, err := get(ctx, p.http+"/chat/lobby")
	if err == nil && strings.Contains(page, message) != has {
		err = fmt.Errorf("the chat has %q: %v: %.300s", message, !has, page)
	}
	return err
}
