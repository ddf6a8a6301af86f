package kiosk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// devtools is the browser's own protocol over a pipe: JSON messages, each ended
// by a zero byte. Of its hundreds of methods the keeper needs six, so the client is
// here; it needs no port, which every user of the machine could reach.
type devtools struct {
	out, in *os.File

	mu      sync.Mutex
	next    int
	pending map[int]chan<- answer
	crashed map[string]bool // targets whose process died
	err     error           // why the connection ended
}

type answer struct {
	result json.RawMessage
	err    error
}

// mostMessage bounds a message of the browser: the largest that is asked for is a
// list of windows.
const mostMessage = 1 << 20

// newDevtools speaks over the keeper's ends of the two pipes.
func newDevtools(out, in *os.File) *devtools {
	d := &devtools{out: out, in: in, pending: map[int]chan<- answer{}, crashed: map[string]bool{}}
	go d.read()
	return d
}

// devtoolsPipes are the keeper's and the browser's ends: the browser reads
// descriptor 3 and writes descriptor 4.
func devtoolsPipes() (out, in *os.File, theirs []*os.File, err error) {
	theirIn, out, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		_ = theirIn.Close()
		_ = out.Close()
		return nil, nil, nil, err
	}
	return out, in, []*os.File{theirIn, theirOut}, nil
}

func (d *devtools) read() {
	scan := bufio.NewScanner(d.in)
	scan.Buffer(nil, mostMessage)
	scan.Split(splitMessages)
	for scan.Scan() {
		d.hear(scan.Bytes())
	}
	err := scan.Err()
	if err == nil {
		err = io.EOF
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = fmt.Errorf("the browser's pipe ended: %w", err)
	for id, c := range d.pending {
		c <- answer{err: d.err}
		delete(d.pending, id)
	}
}

func splitMessages(data []byte, atEOF bool) (int, []byte, error) {
	for i, b := range data {
		if b == 0 {
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), nil, nil // half a message: the browser is gone
	}
	return 0, nil, nil
}

// hear takes one message in. What it does not know it skips.
func (d *devtools) hear(data []byte) {
	var m struct {
		ID     int
		Method string
		Result json.RawMessage
		Error  *struct{ Message string }
		Params struct {
			TargetID string `json:"targetId"`
		}
	}
	if json.Unmarshal(data, &m) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Method == "Target.targetCrashed" {
		d.crashed[m.Params.TargetID] = true
	}
	c, ok := d.pending[m.ID]
	if !ok {
		return
	}
	delete(d.pending, m.ID)
	if m.Error != nil {
		c <- answer{err: errors.New(m.Error.Message)}
	} else {
		c <- answer{result: m.Result}
	}
}

// call asks the browser (session "") or a page, and reads the answer into result
// unless that is nil.
func (d *devtools) call(ctx context.Context, session, method string, params, result any) error {
	c := make(chan answer, 1)
	d.mu.Lock()
	if d.err != nil {
		d.mu.Unlock()
		return d.err
	}
	d.next++
	id := d.next
	message, err := json.Marshal(struct {
		ID      int    `json:"id"`
		Session string `json:"sessionId,omitempty"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{id, session, method, params})
	if err == nil {
		d.pending[id] = c
		// A browser that is stopped reads nothing, and the pipe is full some day.
		_ = d.out.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = d.out.Write(append(message, 0))
	}
	d.mu.Unlock()
	if err != nil {
		d.forget(id)
		return fmt.Errorf("asking the browser for %s: %w", method, err)
	}
	select {
	case a := <-c:
		switch {
		case a.err != nil:
			return fmt.Errorf("%s: %w", method, a.err)
		case result == nil:
			return nil
		}
		if err := json.Unmarshal(a.result, result); err != nil {
			return fmt.Errorf("%s: the answer is not understood: %w", method, err)
		}
		return nil
	case <-ctx.Done():
		d.forget(id)
		return fmt.Errorf("%s: the browser does not answer: %w", method, ctx.Err())
	}
}

func (d *devtools) forget(id int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.pending, id)
}

// hasCrashed reports whether a target's process died, and forgets it.
func (d *devtools) hasCrashed(target string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.crashed[target]
	delete(d.crashed, target)
	return was
}

func (d *devtools) close() {
	_ = d.out.Close()
	_ = d.in.Close()
}
