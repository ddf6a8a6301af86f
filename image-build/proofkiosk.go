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
	"strings"
	"time"
)

// wallOutput is what the daemon finds on one output.
type wallOutput struct {
	Name, State, Rung string
	Frame             uint64
	Rate              float64
}

// ProveKiosk boots a kiosk image for the PC in QEMU and holds that the wall paints, by
// the daemon's word and on pictures of the machine's screen; that it heals; what its
// user may do; and that the framebuffer shows the same wall without X.
func ProveKiosk(ctx context.Context, o ProofOptions) (err error) {
	if err := need(vmTools); err != nil {
		return err
	}
	if o.Out, err = filepath.Abs(o.Out); err != nil {
		return err
	}
	if err := makeDir(o.Out); err != nil {
		return err
	}
	disk := filepath.Join(o.Out, "disk.img")
	defer os.Remove(disk)
	p := &proof{o: o, started: time.Now(), ram: 2048}
	if err := errors.Join(copyDisk(o.Image, disk, 8192*mib), putSettings(ctx, disk)); err != nil {
		return err
	}
	if p.pages, err = freePort(); err != nil {
		return err
	}
	p.http = fmt.Sprintf("http://127.0.0.1:%d", p.pages)
	accel := "tcg,thread=multi"
	if o.KVM && usableKVM(ctx, lookPath("qemu-system-x86_64")) {
		accel = "kvm"
	}
	fmt.Fprintf(o.Progress, "%s under -M pc, %s; serial line in %s\n", o.Image, accel, filepath.Join(o.Out, "wall.serial0.log"))
	p.v, err = startVirtual(virtualOptions{program: lookPath("qemu-system-x86_64"), dir: o.Out, name: "wall", args: []string{
		// Chromium wants SSE3, which the default CPU does not have.
		"-M", "pc", "-cpu", "max", "-accel", accel, "-m", fmt.Sprint(p.ram), "-smp", "2", "-vga", "none", "-device", "virtio-vga,xres=1280,yres=720",
		"-drive", "file=" + disk + ",format=raw,if=ide,cache=unsafe",
		"-nic", fmt.Sprintf("user,model=e1000,hostfwd=tcp:127.0.0.1:%d-:80", p.pages),
	}})
	if err != nil {
		return err
	}
	defer p.v.stop()
	defer p.summary()
	m := time.Minute
	if err := p.step(ctx, "the first user made and logged in over ttyS0", 30*m, p.firstLogin); err != nil {
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
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	add(p.step(ctx, "a picture of the screen with the first scene", 5*m, func(context.Context) error { return p.photograph("kiosk-first") }))
	add(p.step(ctx, "what runs in the session", 5*m, func(ctx context.Context) error {
		for _, program := range []string{"lightdm", "lxsession", "openbox", "chromium"} {
			if _, err := p.v.line.run(ctx, "pgrep "+program+" >/dev/null"); err != nil {
				return err
			}
		}
		out, err := p.v.line.run(ctx, "ps -u sierpi-kiosk -o rss= | awk '{s+=$1} END {print int(s/1024)}'; journalctl -b -t sierpi-kiosk -o cat --no-pager | grep -m1 'the wall paints'")
		p.figure("the wall's processes hold %s", strings.ReplaceAll(out, "\n", " MiB in all; "))
		return err
	}))
	add(p.step(ctx, "what the wall's user may ask for", 5*m, p.kioskPolkit))
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
		return p.photograph("kiosk-next")
	}))
	add(p.step(ctx, "the framebuffer shows the wall without X", 20*m, func(ctx context.Context) error {
		if _, err := p.v.line.run(ctx, "systemctl stop lightdm; systemd-run -q --unit wall-framebuffer -p StandardInput=tty-force -p TTYPath=/dev/tty8 -p StandardError=journal sierpi framebuffer"); err != nil {
			return err
		}
		for {
			o, err := p.wall(ctx)
			if err == nil && o.Rung == "framebuffer" && o.State == "painting" {
				p.figure("%s paints frame %d, %.1f a second", o.Name, o.Frame, o.Rate)
				return p.photograph("framebuffer")
			}
			if err := rest(ctx); err != nil {
				return errors.Join(err, p.wallLog(ctx))
			}
		}
	}))
	return errors.Join(errs...)
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
	out, err := p.v.line.run(ctx, "journalctl -b -t sierpi-kiosk -u lightdm -u wall-framebuffer -u sierpi-framebuffer -o short-monotonic --no-pager | tail -n 30; true")
	if err != nil {
		return err
	}
	return fmt.Errorf("the session's log:\n%s", out)
}

// wall asks the daemon how the wall is, with the token as the machine holds it.
func (p *proof) wall(ctx context.Context) (wallOutput, error) {
	token, err := p.v.line.run(ctx, "cat /run/sierpi-kiosk/kiosk-token")
	if err != nil {
		return wallOutput{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.http+"/display/outputs", nil)
	if err != nil {
		return wallOutput{}, err
	}
	req.Header.Set("X-Sierpi-Kiosk", strings.TrimSpace(token))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return wallOutput{}, err
	}
	defer resp.Body.Close()
	var reply struct{ Outputs []wallOutput }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&reply); err != nil {
		return wallOutput{}, fmt.Errorf("/display/outputs: %s: %w", resp.Status, err)
	}
	for _, o := range reply.Outputs {
		if o.State == "painting" {
			return o, nil
		}
	}
	if len(reply.Outputs) == 0 {
		return wallOutput{}, nil
	}
	return reply.Outputs[0], nil
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

// awaitScene waits until the wall's caption names something.
func (p *proof) awaitScene(ctx context.Context, what string) error {
	for {
		page, err := get(ctx, p.http+"/")
		if err == nil && strings.Contains(page, what) {
			return nil
		}
		if e := rest(ctx); e != nil {
			return fmt.Errorf("%w: %v", e, err)
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

// photograph keeps a picture of the machine's screen as a PNG, and refuses one in
// which nothing is to be seen.
func (p *proof) photograph(name string) error {
	raw := filepath.Join(p.o.Out, name+".ppm")
	if err := p.v.screendump(raw); err != nil {
		return err
	}
	defer os.Remove(raw)
	doc, err := os.ReadFile(raw)
	if err != nil {
		return err
	}
	img, err := parsePPM(doc)
	if err != nil {
		return fmt.Errorf("%s: %w", raw, err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	path := filepath.Join(p.o.Out, name+".png")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return err
	}
	seen := map[color.RGBA]bool{}
	for i := 0; i < len(img.Pix); i += 4 * 97 {
		seen[color.RGBA{img.Pix[i], img.Pix[i+1], img.Pix[i+2], 255}] = true
	}
	if len(seen) < 8 {
		return fmt.Errorf("%s shows %d colours: this is no wall", path, len(seen))
	}
	p.figure("the screen is in %s", path)
	return nil
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
