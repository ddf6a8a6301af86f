package imagebuild

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Stage is one step of a build and what it took.
type Stage struct {
	Name string
	Took time.Duration
	CPU  time.Duration // of the programs that it ran; on a busy machine the steadier figure
}

// progress tells the user what is going on: one line when a stage starts, with an
// estimate from what it took on a 2-core PC under emulation, one when it ends.
type progress struct {
	out    io.Writer
	stages []Stage
	// plan is what is to come, with the estimates.
	plan []Stage
}

func (p *progress) total() time.Duration {
	var sum time.Duration
	for _, s := range p.plan {
		sum += s.Took
	}
	return sum
}

// stage runs one step. The estimate of what is left shrinks by the steps done.
func (p *progress) stage(name string, run func() error) error {
	left := time.Duration(0)
	mine := time.Duration(0)
	for i := len(p.plan) - 1; i >= 0; i-- {
		left += p.plan[i].Took
		if p.plan[i].Name == name {
			mine = p.plan[i].Took
			break
		}
	}
	// A faster or slower machine shows in the steps that are done.
	if factor := p.factor(); factor > 0 {
		left, mine = time.Duration(float64(left)*factor), time.Duration(float64(mine)*factor)
	}
	fmt.Fprintf(p.out, "%-28s about %s, %s left in all\n", name+" ...", human(mine), human(left))
	start, before := time.Now(), childrenCPU()
	err := run()
	took := time.Since(start)
	p.stages = append(p.stages, Stage{name, took, childrenCPU() - before})
	if err != nil {
		fmt.Fprintf(p.out, "%-28s FAILED after %s\n", name, human(took))
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(p.out, "%-28s %s\n", name, human(took))
	return nil
}

// packageCount listens to dpkg and tells from time to time how far it is.
type packageCount struct {
	out               io.Writer
	total             int
	unpacked, settled int
	line              []byte // of which the end has not come yet
	told              time.Time
}

func (c *packageCount) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' {
			if len(c.line) < 20 {
				c.line = append(c.line, b)
			}
			continue
		}
		switch {
		case bytes.HasPrefix(c.line, []byte("Unpacking ")):
			c.unpacked++
		case bytes.HasPrefix(c.line, []byte("Setting up ")):
			c.settled++
		}
		c.line = c.line[:0]
	}
	if now := time.Now(); c.unpacked+c.settled > 0 && now.Sub(c.told) > 15*time.Second {
		c.told = now
		fmt.Fprintf(c.out, "  %d of %d packages unpacked, %d set up\n", min(c.unpacked, c.total), c.total, min(c.settled, c.total))
	}
	return len(p), nil
}

// childrenCPU is the processor time of every program that has been run and has ended.
func childrenCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &u); err != nil {
		return 0 // a figure less
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// factor is how much slower than the plan this machine has been so far; 0: not known yet.
func (p *progress) factor() float64 {
	var planned, took time.Duration
	for _, s := range p.stages {
		for _, e := range p.plan {
			if e.Name == s.Name {
				planned, took = planned+e.Took, took+s.Took
			}
		}
	}
	if planned < 30*time.Second {
		return 0 // too little to tell: a slow archive says nothing of the processor
	}
	return float64(took) / float64(planned)
}

// table prints what each stage took.
func (p *progress) table() {
	var sum time.Duration
	for _, s := range p.stages {
		sum += s.Took
	}
	fmt.Fprintf(p.out, "\n  %-26s %8s %8s\n", "", "clock", "CPU")
	var cpu time.Duration
	for _, s := range p.stages {
		share := float64(s.Took) / float64(max(sum, 1))
		cpu += s.CPU
		fmt.Fprintf(p.out, "  %-26s %8s %8s %4.0f%%  %s\n", s.Name, human(s.Took), human(s.CPU), share*100, strings.Repeat("#", int(share*40+0.5)))
	}
	fmt.Fprintf(p.out, "  %-26s %8s %8s\n", "all", human(sum), human(cpu))
}

func human(d time.Duration) string {
	switch {
	case d <= 0:
		return "?"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
