package imagebuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// machine are the steps that hold what sierpi does to a machine and reads of it:
// doctor, zram, serial, power, a sensor on the I2C bus, the button. They need a root
// shell on the line and leave the machine as they found it. What the machine's kernel
// has no simulation for is told and not failed.
func (p *proof) machine(ctx context.Context, device string) error {
	m := time.Minute
	return p.steps(ctx, []bounded{
		{"doctor: no trouble, and a bundle without secrets", 3 * m, p.doctor},
		{"zram: applied twice, resized, switched off and on again", 6 * m, p.zramLife},
		{"serial: the line as the config has it, and nothing to change", 2 * m, func(ctx context.Context) error { return p.serialStatus(ctx, device) }},
		{"power: a report, or the word that there is no source", 2 * m, p.power},
		{"an INA219 on the I2C bus", 4 * m, p.ina219},
		{"a short press of the button", 5 * m, p.shortPress},
	})
}

// doctor holds that it finds no trouble, and that its bundle has what it promises
// and none of the passwords of this proof.
func (p *proof) doctor(ctx context.Context) error {
	table, err := p.v.line.run(ctx, "sierpi doctor")
	if err != nil {
		return err // with the table
	}
	out, err := p.v.line.run(ctx, "sierpi doctor --json")
	if err != nil {
		return err
	}
	var found []struct{ What, State, Detail string }
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		return fmt.Errorf("doctor --json: %w: %.300q", err, out)
	}
	states := map[string]string{}
	for _, f := range found {
		states[f.What] = f.State
	}
	for what, want := range map[string]string{"config": "ok", "zram": "ok", "serial login": "ok", "units": "ok", "daemon": "ok", "first boot": "ok", "storage": "ok"} {
		if states[what] != want {
			return fmt.Errorf("the doctor says %q of %s, expected %q:\n%s", states[what], what, want, out)
		}
	}
	fmt.Fprintln(p.o.Progress, "          "+strings.ReplaceAll(table, "\n", "\n          "))
	const bundle = "/tmp/bundle.tar.gz"
	if _, err := p.v.line.run(ctx, "rm -f "+bundle+"; sierpi doctor --bundle --output "+bundle+" >/dev/null 2>&1"); err != nil {
		return err
	}
	if err := p.check(ctx, "stat -c '%a %U' "+bundle, "^600 root$"); err != nil {
		return err
	}
	if err := p.check(ctx, "tar -tzf "+bundle, `(?s)README.*doctor\.json.*healthz\.json.*journal\.txt.*zram\.json`); err != nil {
		return err
	}
	// The owner's secret and the screen's token are in the journal and the runtime folder.
	for what, secret := range map[string]string{"the user's password": proofPassword, "the Wi-Fi password": proofWiFi} {
		if err := p.check(ctx, fmt.Sprintf("tar -xzOf %s | grep -cF '%s' || true", bundle, secret), "^0$"); err != nil {
			return fmt.Errorf("the bundle holds %s: %w", what, err)
		}
	}
	for _, c := range []string{
		`tar -xzOf ` + bundle + ` | grep -cF "$(cat /run/sierpi/kiosk-token)" || true`,
		`s=$(journalctl -b -u sierpi -o cat | sed -n 's/^owner  *\([^ ]*\) .*/\1/p' | head -1); [ -z "$s" ] && echo 0 || tar -xzOf ` + bundle + ` | grep -cF "$s" || true`,
	} {
		if err := p.check(ctx, c, "^0$"); err != nil {
			return fmt.Errorf("the bundle holds a secret of the daemon's: %w", err)
		}
	}
	return nil
}

// zramLife applies, changes and takes away the swap, and brings back what was.
func (p *proof) zramLife(ctx context.Context) error {
	const settings = "sysctl -n vm.swappiness vm.page-cluster vm.watermark_boost_factor vm.watermark_scale_factor | tr '\\n' ' '"
	const area = "awk '/zram/ {print $3, $5}' /proc/swaps"
	before, err := p.v.line.run(ctx, settings+"; "+area)
	if err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi zram apply", "nothing to change"); err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi zram status --json", `"ours":true.*"owner":"sierpi"`); err != nil {
		return err
	}
	// util-linux agrees on what was made.
	if err := p.check(ctx, "blkid -o export $(awk '/zram/ {print $1}' /proc/swaps)", `(?s)LABEL=sierpi-zram.*TYPE=swap`); err != nil {
		return err
	}
	const other = "/tmp/zram.toml"
	if _, err := p.v.line.run(ctx, `printf '[zram]\nsize = "96MiB"\nalgorithm = ["lz4"]\npriority = 77\n' >`+other); err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi zram apply --config "+other+" && "+area, `(?s)staged beside.*\n9830[0-9] 77$`); err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi zram off && "+area+" | wc -l", `\n0$`); err != nil {
		return err
	}
	// What the kernel had before sierpi, as in its documentation.
	if err := p.check(ctx, settings, `^60 3 15000 10 ?$`); err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi zram off", "nothing to change"); err != nil {
		return err
	}
	if _, err := p.v.line.run(ctx, "rm "+other+"; sierpi zram apply"); err != nil {
		return err
	}
	return p.check(ctx, settings+"; "+area, "^"+regexp.QuoteMeta(before)+"$")
}

// serialStatus holds that the status says what is, and that apply has nothing to do.
func (p *proof) serialStatus(ctx context.Context, device string) error {
	out, err := p.v.line.run(ctx, "sierpi serial status --json")
	if err != nil {
		return err
	}
	var status struct {
		Line          struct{ Device string }
		Found         bool
		KernelConsole bool `json:"kernel_console"`
		Getty         string
		InUse         bool `json:"in_use"`
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return fmt.Errorf("serial status --json: %w: %.300q", err, out)
	}
	if status.Line.Device != device || !status.Found || !status.KernelConsole || status.Getty != "active" || !status.InUse {
		return fmt.Errorf("serial status says %+v of %s, on which we are logged in", status, device)
	}
	return p.check(ctx, "sierpi serial apply", "nothing to change")
}

// power holds that the command works with whatever this machine has.
func (p *proof) power(ctx context.Context) error {
	if err := p.check(ctx, "sierpi power", `(?m)^board .*\n(?s).*^power `); err != nil {
		return err
	}
	out, err := p.v.line.run(ctx, "sierpi power --json")
	if err != nil {
		return err
	}
	var report struct {
		Board   string
		Reading *struct{ Source string }
		Absent  string
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return fmt.Errorf("power --json: %w: %.300q", err, out)
	}
	if (report.Reading == nil) == (report.Absent == "") {
		return fmt.Errorf("power --json has neither a reading nor the reason why not, or both: %s", out)
	}
	return nil
}

// restartWith gives the daemon a config and restarts it; an empty one is none.
func (p *proof) restartWith(ctx context.Context, conf string) error {
	write := "rm -f /etc/sierpi/sierpi.toml"
	if conf != "" {
		write = fmt.Sprintf("printf '%s' >/etc/sierpi/sierpi.toml", strings.ReplaceAll(conf, "\n", `\n`))
	}
	for _, c := range []string{write, "sierpi config check", "systemctl restart sierpi.service"} {
		if _, err := p.v.line.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// ina219 puts a chip behind i2c-stub, 12.5 V and 1.25 A over 0.1 ohm, and reads it by
// the command and from the daemon's metrics.
func (p *proof) ina219(ctx context.Context) (err error) {
	if _, err := p.v.line.run(ctx, "modprobe i2c-stub chip_addr=0x45 && modprobe i2c-dev && udevadm settle"); err != nil {
		p.figure("INA219: this machine's kernel has no i2c-stub")
		return nil
	}
	defer func() {
		if _, undo := p.v.line.run(context.WithoutCancel(ctx), "modprobe -r i2c-stub"); undo != nil {
			err = errors.Join(err, undo)
		}
	}()
	bus, err := p.v.line.run(ctx, "grep -l 'SMBus stub' /sys/bus/i2c/devices/i2c-*/name | sed 's,.*/i2c-,,; s,/name,,'")
	if err != nil {
		return err
	}
	if _, err := strconv.Atoi(bus); err != nil {
		return fmt.Errorf("the stub's bus is %q", bus)
	}
	// Registers by SMBus word, whose low byte goes first: shunt 12500 x 10 uV, and
	// 3125 x 4 mV above three status bits.
	script := fmt.Sprintf(`import fcntl,ctypes
f=open("/dev/i2c-%s","r+b",buffering=0)
fcntl.ioctl(f,0x0703,0x45)
class D(ctypes.Structure): _fields_=[("rw",ctypes.c_uint8),("cmd",ctypes.c_uint8),("size",ctypes.c_uint32),("p",ctypes.c_void_p)]
for reg,val in ((0,0x399f),(1,12500),(2,3125<<3|2)):
    w=ctypes.create_string_buffer(val.to_bytes(2,"big"),34)
    fcntl.ioctl(f,0x0720,D(0,reg,3,ctypes.addressof(w)))
`, bus)
	if err := p.v.line.write(ctx, "/tmp/ina.py", script); err != nil {
		return err
	}
	if _, err := p.v.line.run(ctx, "python3 /tmp/ina.py"); err != nil {
		return err
	}
	conf := "[[power.sensor]]\nchip = \"ina219\"\nbus = " + bus + "\naddress = 0x45\nshunt = 0.1\nrail = \"input\"\n"
	defer func() { err = errors.Join(err, p.restartWith(context.WithoutCancel(ctx), "")) }()
	if err := p.restartWith(ctx, conf); err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi power", `(?s)power +15\.62 W +i2c.*input +12\.50 V +1\.250 A`); err != nil {
		return err
	}
	body, err := get(ctx, p.metrics+"/metrics")
	if err != nil {
		return err
	}
	for _, want := range []string{`sierpi_power_watts{rail="total",source="i2c"} 15.625`, `sierpi_power_volts{rail="input",source="i2c"} 12.5`, `sierpi_power_joules_total{rail="total",source="i2c"}`} {
		if !strings.Contains(body, want) {
			return fmt.Errorf("/metrics lacks %s", want)
		}
	}
	p.figure("an INA219 behind i2c-stub was read as 12.5 V and 1.25 A, by the command and by the daemon")
	return nil
}

// pressed puts a button on line 17 of a simulated GPIO chip, gives it to the daemon
// and has it pressed; ok is false where the kernel has no gpio-sim. The chip stays:
// take it away with unplug.
func (p *proof) pressed(ctx context.Context, seconds float64) (ok bool, err error) {
	if _, err := p.v.line.run(ctx, "modprobe gpio-sim && { mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config; }"); err != nil {
		p.figure("button: this machine's kernel has no gpio-sim")
		return false, nil
	}
	const chip = "/sys/kernel/config/gpio-sim/proof"
	for _, c := range []string{
		"mkdir -p " + chip + "/bank0/line17 && echo 28 >" + chip + "/bank0/num_lines && echo GPIO17 >" + chip + "/bank0/line17/name && echo 1 >" + chip + "/live && udevadm settle",
		"echo pull-up >" + pullOf(chip),
	} {
		if _, err := p.v.line.run(ctx, c); err != nil {
			return true, err
		}
	}
	if err := p.restartWith(ctx, "[gpio]\nbutton = 17\n"); err != nil {
		return true, err
	}
	// In one line: the serial line's own pace must not be the finger's.
	press := fmt.Sprintf("f=%s; echo pull-down >$f; sleep %.1f; echo pull-up >$f", pullOf(chip), seconds)
	_, err = p.v.line.run(ctx, press)
	return true, err
}

// pullOf is the shell's word for the file that moves the line.
func pullOf(chip string) string {
	return "/sys/devices/platform/$(cat " + chip + "/dev_name)/$(cat " + chip + "/bank0/chip_name)/sim_gpio17/pull"
}

func (p *proof) shortPress(ctx context.Context) (err error) {
	ok, err := p.pressed(ctx, .3)
	if !ok {
		return err
	}
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, p.restartWith(ctx, ""))
		if _, undo := p.v.line.run(ctx, "c=/sys/kernel/config/gpio-sim/proof; echo 0 >$c/live; rmdir $c/bank0/line17 $c/bank0 $c"); undo != nil {
			err = errors.Join(err, undo)
		}
	}()
	if err != nil {
		return err
	}
	if _, err := p.v.line.run(ctx, "until journalctl -b -u sierpi.service -o cat | grep -q 'press=short'; do sleep 1; done"); err != nil {
		return err
	}
	p.figure("a short press of a simulated button reached the daemon")
	return nil
}

// off is the last step of a proof: by a long press of the button, where the kernel can
// simulate one, else by the line.
func (p *proof) off(ctx context.Context) error {
	if pressed, err := p.longPress(ctx); pressed {
		return err
	}
	return p.poweroff(ctx)
}

// longPress has the machine switch itself off. Where the kernel cannot simulate a
// button it returns false and the machine runs on.
func (p *proof) longPress(ctx context.Context) (bool, error) {
	ok, err := p.pressed(ctx, 4)
	if !ok {
		return false, err
	}
	select {
	case <-p.v.done:
	case <-ctx.Done():
	}
	if !p.ended() {
		return true, errors.Join(err, fmt.Errorf("%w: the machine did not switch itself off", context.Cause(ctx)))
	}
	p.figure("a long press of a simulated button switched the machine off in order")
	return true, nil
}
