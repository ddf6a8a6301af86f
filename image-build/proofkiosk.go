package imagebuild

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wallOutput is what the daemon finds on one output.
type wallOutput struct {
	Name, State, Rung string
	Frame             uint64
	Rate              float64
	ReadBack          *bool // whether it is on, by the session's word
}

// card is the name of the virtual graphics card, which has two outputs.
const card = "card"

// socket is where a second monitor is plugged in; short, as sockets' paths must be.
func (p *proof) socket() string { return filepath.Join(p.o.Out, "vnc") }

// wallConfig is the machine's during the proof: whatever the hour, the pictures are bright.
const wallConfig = "[display]\nnight = \"\"\n"

// kioskMachine is how QEMU starts a kiosk image. A Raspberry Pi's own boards have
// neither the memory nor the screen for Chromium there, so its image starts on -M virt:
// kernel, initramfs and root are its own, the device tree is QEMU's, and the serial line
// is the one that this machine has.
func kioskMachine(ctx context.Context, mark Mark, o ProofOptions, p *proof, work string) (program string, args []string, device string, err error) {
	nic := fmt.Sprintf("user,id=net,hostfwd=tcp:127.0.0.1:%d-:80,hostfwd=tcp:127.0.0.1:%d-:9101", p.pages, p.scrape)
	screen := "id=" + card + ",max_outputs=2,xres=1280,yres=720"
	vnc := []string{"-vnc", "unix:" + p.socket() + ",display=" + card + ",head=1"}
	switch {
	case mark.Board == "pc":
		program = lookPath("qemu-system-x86_64")
		accel := "tcg,thread=multi"
		if o.KVM && usableKVM(ctx, program) {
			accel = "kvm"
		}
		// Chromium wants SSE3, which the default CPU does not have.
		return program, []string{"-M", "pc", "-cpu", "max", "-accel", accel, "-vga", "none", "-device", "virtio-vga," + screen, vnc[0], vnc[1],
			"-drive", "file=" + p.disk + ",format=raw,if=ide,cache=unsafe", "-netdev", nic, "-device", "e1000,netdev=net"}, "ttyS0", nil
	case mark.Arch == "arm64" && mark.Base == "debian":
		boot, err := bootFromFAT(ctx, p.disk, "pi4", work)
		if err != nil {
			return "", nil, "", err
		}
		device = "ttyAMA0"
		cmdline := strings.ReplaceAll(boot.cmdline, "ttyS0", device)
		fmt.Fprintf(o.Progress, "from its boot partition: %s\ncommand line: %s\n", strings.Join(boot.loaded[:2], ", "), cmdline)
		return lookPath("qemu-system-aarch64"), []string{"-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-kernel", boot.kernel, "-initrd", boot.initrd, "-append", cmdline,
			"-device", "virtio-gpu-pci," + screen, vnc[0], vnc[1], "-drive", "if=none,id=card,format=raw,cache=unsafe,file=" + p.disk, "-device", "virtio-blk-pci,drive=card",
			"-netdev", nic, "-device", "virtio-net-pci,netdev=net"}, device, nil
	}
	return "", nil, "", fmt.Errorf("a kiosk image of %s for %s on a %s cannot be booted here; Debian's for amd64 and arm64 can", mark.Base, mark.Arch, mark.Board)
}

// proveKiosk boots a kiosk image in QEMU and holds that the wall paints, by the daemon's
// word and on pictures of the machine's screen; that it is switched off and on, and heals;
// what its user may do; that Prometheus, feed and quotes answer beside it; and that the
// framebuffer shows the same wall without X.
func proveKiosk(ctx context.Context, o ProofOptions, mark Mark) error {
	p, err := newProof(ctx, o, 2048)
	if err != nil {
		return err
	}
	defer p.cleanUp()
	work, err := os.MkdirTemp(p.o.Out, "boot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	program, args, device, err := kioskMachine(ctx, mark, o, p, work)
	if err != nil {
		return err
	}
	args = append(args, "-m", fmt.Sprint(p.ram), "-smp", fmt.Sprint(max(2, min(4, runtime.NumCPU()))))
	fmt.Fprintf(o.Progress, "%s under %s; serial line in %s\n", o.Image, strings.Join(args[:2], " "), filepath.Join(p.o.Out, "wall.serial0.log"))
	if p.v, err = startVirtual(virtualOptions{program: program, dir: p.o.Out, name: "wall", args: args}); err != nil {
		return err
	}
	m := time.Minute
	if err := p.step(ctx, "the first user made and logged in over "+device, 30*m, p.firstLogin); err != nil {
		return err
	}
	if err := p.step(ctx, "a config without a night, for the pictures", 10*m, func(ctx context.Context) error { return p.restartWith(ctx, wallConfig) }); err != nil {
		return err
	}
	if err := p.step(ctx, "the wall paints, by the hash of its canvas", 30*m, func(ctx context.Context) error {
		o, err := p.awaitWall(ctx, 0)
		if err == nil {
			p.figure("%s paints frame %d, %.1f a second, by %s", o.Name, o.Frame, o.Rate, o.Rung)
		}
		return err
	}); err != nil {
		return errors.Join(err, p.wallLog(ctx))
	}
	p.choosy = true
	var errs []error
	add := func(err error) {
		if err != nil {
			fmt.Fprintf(o.Progress, "        %v\n", err)
		}
		errs = append(errs, err)
	}
	add(p.step(ctx, "times: the daemon's READY, the first painted frame", 5*m, p.firstFrame))
	add(p.step(ctx, "a picture of the screen with the first scene", 10*m, func(ctx context.Context) error {
		if err := p.awaitLife(ctx, 600); err != nil { // past the fade, and there is something to see
			return err
		}
		return p.photograph(ctx, "kiosk-first", "", 0)
	}))
	add(p.step(ctx, "what runs in the session", 5*m, func(ctx context.Context) error {
		for _, program := range []string{"lightdm", "lxsession", "openbox", "chromium"} {
			if _, err := p.v.line.run(ctx, "pgrep "+program+" >/dev/null"); err != nil {
				return err
			}
		}
		out, err := p.v.line.run(ctx, "ps -u sierpi-kiosk -o rss= | awk '{s+=$1} END {print int(s/1024)}'")
		p.figure("the wall's processes hold %s MiB in all", out)
		return err
	}))
	add(p.step(ctx, "what the image holds beside its packages", 5*m, p.weight))
	add(p.step(ctx, "what the wall's user may ask for", 5*m, p.kioskPolkit))
	add(p.step(ctx, "the pages through the forwarded port", 5*m, func(ctx context.Context) error {
		for path, want := range map[string]string{"/feed": "Feed", "/quotes": "Quotes", "/json/random": "[", "/readyz": ""} {
			if body, err := get(ctx, p.http+path); err != nil || !strings.Contains(body, want) {
				return fmt.Errorf("%s: %w: %.200q", path, err, body)
			}
		}
		return nil
	}))
	add(p.step(ctx, "/metrics scraped by Prometheus from outside for five minutes", 15*m, p.prometheusLong))
	add(p.step(ctx, "the screen is off by its timetable, read back, and on again", 30*m, p.offAndOn))
	add(p.step(ctx, "kill -9 of Chromium heals", 20*m, func(ctx context.Context) error {
		before, err := p.wall(ctx)
		if err != nil {
			return err
		}
		if _, err := p.v.line.run(ctx, "pkill -9 -o -u sierpi-kiosk chromium"); err != nil {
			return err
		}
		began := time.Now()
		if _, err = p.awaitWall(ctx, before.Frame+100); err == nil {
			p.figure("painting again after %s", human(time.Since(began)))
		}
		return err
	}))
	add(p.step(ctx, "a picture of the screen with another scene", 20*m, func(ctx context.Context) error {
		if err := p.awaitScene(ctx, "Sierpinski"); err != nil {
			return err
		}
		o, err := p.wall(ctx)
		if err != nil {
			return err
		}
		if _, err := p.awaitWall(ctx, o.Frame+600); err != nil {
			return err
		}
		return p.photograph(ctx, "kiosk-next", "", 0)
	}))
	add(p.step(ctx, "a second monitor is plugged in: two halves of one wall", 40*m, p.twoOutputs))
	add(p.step(ctx, "from the session's start to the first painted frame, beside a plain Chromium under LXDE", 60*m, p.besidePlain))
	add(p.step(ctx, "the framebuffer shows the wall without X", 20*m, func(ctx context.Context) error {
		if _, err := p.v.line.run(ctx, "systemctl stop lightdm; systemd-run -q --unit wall-framebuffer -p StandardInput=tty-force -p TTYPath=/dev/tty8 -p StandardError=journal sierpi framebuffer"); err != nil {
			return err
		}
		for {
			o, err := p.wall(ctx)
			if err == nil && o.Rung == "framebuffer" && o.State == "painting" {
				p.figure("%s paints frame %d, %.1f a second", o.Name, o.Frame, o.Rate)
				return p.photograph(ctx, "framebuffer", "", 0)
			}
			if err := rest(ctx); err != nil {
				return errors.Join(err, p.wallLog(ctx))
			}
		}
	}))
	return errors.Join(errs...)
}

// firstFrame tells how long after the daemon's READY the wall had its first frame.
func (p *proof) firstFrame(ctx context.Context) error {
	var at [3]float64
	for i, first := range []string{"-u sierpi.service | grep -m1 'Started sierpi'", "-u lightdm.service | grep -m1 'Started lightdm'", "-t sierpi-kiosk | grep -m1 'the wall paints'"} {
		// The daemon knows that the wall paints before the session has asked it.
		out, err := p.v.line.run(ctx, "for i in $(seq 30); do journalctl -b -o short-monotonic --no-pager "+first+" && break; sleep 10; done")
		if err != nil {
			return err
		}
		m := regexp.MustCompile(`^\[ *([\d.]+)\]`).FindStringSubmatch(out)
		if m == nil {
			return errors.Join(fmt.Errorf("no time of %q in %q", first, out), p.wallLog(ctx))
		}
		if at[i], err = strconv.ParseFloat(m[1], 64); err != nil {
			return err
		}
	}
	p.figure("the daemon's READY %.1f s after the kernel, lightdm %.1f s, the first painted frame %.1f s after READY", at[0], at[1], at[2]-at[0])
	return nil
}

// plainAutostart opens the wall's page as the many recipes for a kiosk do: without anybody
// who waits for the daemon, cleans the profile or looks whether it paints.
const plainAutostart = "@chromium --kiosk --no-first-run --password-store=basic http://127.0.0.1/kiosk"

// besidePlain tells how long the session takes from its start to the first frame that a
// screen says it painted, with nothing of the programs in memory, and how long the same
// takes with plainAutostart instead of ours.
func (p *proof) besidePlain(ctx context.Context) error {
	const autostart = "/etc/xdg/lxsession/sierpi/autostart"
	painting := regexp.MustCompile(`(?m)^sierpi_display_screens\{[^}]*state="painting"[^}]*\} [1-9]`)
	until := func(want bool) error {
		for {
			text, err := get(ctx, p.metrics+"/metrics")
			if err == nil && painting.MatchString(text) == want {
				return nil
			}
			if e := rest(ctx); e != nil {
				return errors.Join(fmt.Errorf("%w: painting is not %t (%v)", e, want, err), p.wallLog(ctx))
			}
		}
	}
	start := func() (time.Duration, error) {
		if _, err := p.v.line.run(ctx, "systemctl stop lightdm; pkill -u sierpi-kiosk; true"); err != nil {
			return 0, err
		}
		if err := until(false); err != nil {
			return 0, err
		}
		if _, err := p.v.line.run(ctx, "sync; echo 3 >/proc/sys/vm/drop_caches; systemctl --no-block start lightdm"); err != nil {
			return 0, err
		}
		began := time.Now()
		err := until(true)
		return time.Since(began), err
	}
	ours, err := start()
	if err != nil {
		return err
	}
	if _, err := p.v.line.run(ctx, "cp "+autostart+" /run/autostart && echo '"+plainAutostart+"' >"+autostart); err != nil {
		return err
	}
	plain, err := start()
	if _, e := p.v.line.run(context.WithoutCancel(ctx), "cp /run/autostart "+autostart); err != nil || e != nil {
		return errors.Join(err, e)
	}
	p.figure("the wall's session paints %.1f s after its start, a plain Chromium on the same page after %.1f s: %.2f of that", ours.Seconds(), plain.Seconds(), ours.Seconds()/plain.Seconds())
	return nil
}

// twoOutputs plugs a second monitor in and holds that each output, by a name of its own,
// paints its half of one universe.
func (p *proof) twoOutputs(ctx context.Context) error {
	monitor, err := plugScreen(ctx, p.socket(), 1280, 720)
	if err != nil {
		return err
	}
	defer monitor.Close()
	// Names are the X server's; on virtio-gpu they are these.
	halves := []string{"Virtual-1", "Virtual-2"}
	conf := wallConfig + "width = 640\nheight = 180\n"
	for i, name := range halves {
		conf += fmt.Sprintf("[[display.output]]\nname = \"%s\"\nview = \"%d,0,320,180\"\n", name, 320*i)
	}
	if err := p.restartWith(ctx, conf); err != nil {
		return err
	}
	for {
		list, err := p.outputs(ctx)
		painting := 0
		for _, o := range list {
			if slices.Contains(halves, o.Name) && o.State == "painting" && o.Frame > 300 {
				painting++
			}
		}
		if painting == len(halves) {
			for _, o := range list {
				p.figure("%s paints frame %d, %.1f a second", o.Name, o.Frame, o.Rate)
			}
			break
		}
		if e := rest(ctx); e != nil {
			return errors.Join(fmt.Errorf("%w: %+v (%v)", e, list, err), p.wallLog(ctx))
		}
	}
	err = errors.Join(p.photograph(ctx, "kiosk-left", halves[0], 0), p.photograph(ctx, "kiosk-right", halves[1], 1))
	return errors.Join(err, p.restartWith(ctx, wallConfig))
}

// weight holds that the root takes little more than its packages say of themselves.
func (p *proof) weight(ctx context.Context) error {
	out, err := p.v.line.run(ctx, "dpkg-query -W -f='${Installed-Size}\\n' | awk '{s+=$1} END {print s}'; du -xsk / 2>/dev/null | cut -f1")
	if err != nil {
		return err
	}
	var packages, all float64
	if _, err := fmt.Sscan(out, &packages, &all); err != nil || packages < 1 {
		return fmt.Errorf("no sizes in %q: %w", out, err)
	}
	p.figure("the root holds %.0f MiB, its packages %.0f MiB by their own word: %.0f %% of that", all/1024, packages/1024, 100*all/packages)
	if all > 1.35*packages {
		return errors.New("that is more than 35 % over")
	}
	return nil
}

// offAndOn gives the daemon a timetable by which it is night all day, waits until every
// output has been read back as off, and takes the timetable away again.
func (p *proof) offAndOn(ctx context.Context) (err error) {
	if err := p.restartWith(ctx, wallConfig+"screens-off = \"00:00-23:59\"\n"); err != nil {
		return err
	}
	until := func(state, monitor string) error {
		for {
			o, err := p.wall(ctx)
			if err == nil && o.State == state && o.ReadBack != nil && *o.ReadBack == (state != "off") {
				out, err := p.v.line.run(ctx, "pid=$(pgrep -o -u sierpi-kiosk lxsession); export $(tr '\\0' '\\n' </proc/$pid/environ | grep -E '^(DISPLAY|XAUTHORITY)='); runuser -u sierpi-kiosk -- env DISPLAY=$DISPLAY XAUTHORITY=$XAUTHORITY sh -c 'xrandr; xset q'")
				if err != nil {
					return err
				}
				if !regexp.MustCompile(monitor).MatchString(out) {
					return fmt.Errorf("the daemon says %q, and the X server: %s", state, out)
				}
				p.figure("%s: %s", o.Name, state)
				return nil
			}
			if e := rest(ctx); e != nil {
				return errors.Join(fmt.Errorf("%w: the wall is %q and not %q (%v)", e, o.State, state, err), p.wallLog(ctx))
			}
		}
	}
	err = until("off", `connected (primary )?\(|Monitor is (Off|in Standby|in Suspend)`)
	return errors.Join(err, p.restartWith(context.WithoutCancel(ctx), wallConfig), until("painting", `connected (primary )?\d+x\d+`))
}

// prometheusLong has Prometheus scrape the machine for five minutes and fail at no scrape.
func (p *proof) prometheusLong(ctx context.Context) error {
	return p.scraped(ctx, 5*time.Minute)
}

// rest is between two questions to the machine.
func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(2 * time.Second):
		return nil
	}
}

// wallLog is what the session said last, for a failure's message.
func (p *proof) wallLog(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := p.v.line.run(ctx, "journalctl -b -u lightdm -u wall-framebuffer -u sierpi-framebuffer -o short-monotonic --no-pager | tail -n 10; journalctl -b -t sierpi-kiosk -o short-monotonic --no-pager | tail -n 30; true")
	if err != nil {
		return err
	}
	return fmt.Errorf("the session's log:\n%s", out)
}

// wall is the output that paints, or else the first.
func (p *proof) wall(ctx context.Context) (wallOutput, error) {
	list, err := p.outputs(ctx)
	for _, o := range list {
		if o.State == "painting" {
			return o, nil
		}
	}
	if len(list) == 0 {
		return wallOutput{}, err
	}
	return list[0], err
}

// outputs asks the daemon how the outputs are, with the token as the machine holds it.
func (p *proof) outputs(ctx context.Context) ([]wallOutput, error) {
	token, err := p.v.line.run(ctx, "cat /run/sierpi-kiosk/kiosk-token")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.http+"/display/outputs", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Sierpi-Kiosk", strings.TrimSpace(token))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var reply struct{ Outputs []wallOutput }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&reply); err != nil {
		return nil, fmt.Errorf("/display/outputs: %s: %w", resp.Status, err)
	}
	return reply.Outputs, nil
}

// awaitWall waits until the daemon finds its own picture on the wall, of a frame
// after that one.
func (p *proof) awaitWall(ctx context.Context, after uint64) (wallOutput, error) {
	for {
		o, err := p.wall(ctx)
		if err == nil && o.State == "painting" && o.Frame > after {
			return o, nil
		}
		if e := rest(ctx); e != nil {
			return o, fmt.Errorf("%w: the wall is %q (%v)", e, o.State, err)
		}
	}
}

// caption is what the wall says of itself, as the home page has it.
func (p *proof) caption(ctx context.Context) (string, error) {
	page, err := get(ctx, p.http+"/")
	m := regexp.MustCompile(`id="wall-caption"[^>]*>([^<]*)<`).FindStringSubmatch(page)
	if m == nil {
		return "", fmt.Errorf("the home page tells of no wall: %w", err)
	}
	return m[1], nil
}

// awaitLife waits until Life is on the wall and that old.
func (p *proof) awaitLife(ctx context.Context, generations int) error {
	for {
		caption, err := p.caption(ctx)
		if _, number, ok := strings.Cut(caption, "generation "); ok {
			if n, _ := strconv.Atoi(number); n >= generations {
				return nil
			}
		}
		if e := rest(ctx); e != nil {
			return fmt.Errorf("%w: no generation %d yet, but %q (%v)", e, generations, caption, err)
		}
	}
}

// awaitScene waits until the wall's caption names something.
func (p *proof) awaitScene(ctx context.Context, what string) error {
	for {
		caption, err := p.caption(ctx)
		if strings.Contains(caption, what) {
			return nil
		}
		if e := rest(ctx); e != nil {
			return fmt.Errorf("%w: the wall says %q (%v)", e, caption, err)
		}
	}
}

// kioskPolkit holds that the wall's user may do what our rules name, and nothing else.
func (p *proof) kioskPolkit(ctx context.Context) error {
	const can = "runuser -u sierpi-kiosk -- busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager "
	for method, want := range map[string]string{"CanReboot": `"yes"`, "CanPowerOff": `"(no|challenge)"`, "CanSuspend": `"(no|na|challenge)"`} {
		if err := p.check(ctx, can+method, want); err != nil {
			return err
		}
	}
	for _, refused := range []string{"systemctl --no-ask-password stop lightdm.service", "systemctl --no-ask-password restart sierpi.service", "cat /etc/sierpi/sierpi.toml", "ls /var/lib/sierpi", "ls /run/sierpi"} {
		if _, err := p.v.line.run(ctx, "! runuser -u sierpi-kiosk -- "+refused+" >/dev/null 2>&1"); err != nil {
			return fmt.Errorf("the wall's user may: %w", err)
		}
	}
	return nil
}

// photograph keeps a picture of one output of the graphics card as a PNG: once the page on
// it, of that name or any, has painted on three times, because a browser under emulation is a
// picture or two behind its canvas; and once there is something in the middle.
func (p *proof) photograph(ctx context.Context, name, output string, number int) error {
	if err := p.paintsOn(ctx, output, 3); err != nil {
		return err
	}
	path := filepath.Join(p.o.Out, name+".png")
	for {
		img, err := p.picture(number, path)
		if err != nil {
			return err
		}
		colours := coloursInside(img)
		if colours >= 8 {
			p.figure("the screen is in %s", path)
			return nil
		}
		if e := rest(ctx); e != nil {
			return fmt.Errorf("%w: %s shows %d colours in its middle: this is no wall", e, path, colours)
		}
	}
}

// paintsOn waits until the page on an output, "" for any, has painted so many more times.
func (p *proof) paintsOn(ctx context.Context, output string, times int) error {
	for last := uint64(0); times >= 0; {
		list, err := p.outputs(ctx)
		for _, o := range list {
			if o.State == "painting" && o.Frame > last && (output == "" || o.Name == output) {
				last = o.Frame
				times--
				break
			}
		}
		if e := rest(ctx); e != nil {
			return fmt.Errorf("%w: %+v (%v)", e, list, err)
		}
	}
	return nil
}

// picture is what an output of the graphics card shows, and is written to path as a PNG.
func (p *proof) picture(number int, path string) (*image.RGBA, error) {
	raw := strings.TrimSuffix(path, ".png") + ".ppm"
	if err := p.v.screendump(raw, number); err != nil {
		return nil, err
	}
	defer os.Remove(raw)
	doc, err := os.ReadFile(raw)
	if err != nil {
		return nil, err
	}
	img, err := parsePPM(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", raw, err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, err
	}
	return img, os.WriteFile(path, b.Bytes(), 0o644)
}

// coloursInside counts the colours in the middle half of a picture.
func coloursInside(img *image.RGBA) int {
	seen := map[color.RGBA]bool{}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for y := h / 4; y < h*3/4; y++ {
		for x := w / 4; x < w*3/4; x++ {
			seen[img.RGBAAt(x, y)] = true
		}
	}
	return len(seen)
}

// parsePPM reads QEMU's screendump: "P6", width, height, 255, then RGB.
func parsePPM(doc []byte) (*image.RGBA, error) {
	r := bufio.NewReader(bytes.NewReader(doc))
	var w, h, most int
	if _, err := fmt.Fscanf(r, "P6\n%d %d\n%d\n", &w, &h, &most); err != nil || w < 1 || h < 1 || w > 16384 || h > 16384 || most != 255 {
		return nil, fmt.Errorf("not a picture as QEMU writes it (%dx%d, %v)", w, h, err)
	}
	if len(doc) < 3*w*h {
		return nil, fmt.Errorf("%d bytes for a picture of %dx%d", len(doc), w, h)
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	row := make([]byte, 3*w)
	for y := range h {
		if _, err := io.ReadFull(r, row); err != nil {
			return nil, fmt.Errorf("row %d of %d: %w", y, h, err)
		}
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{row[3*x], row[3*x+1], row[3*x+2], 255})
		}
	}
	return img, nil
}
