package power

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
)

// Firmware asks the VideoCore firmware by general command, what vcgencmd does:
// "get_throttled", "measure_temp", "pmic_read_adc".
type Firmware interface {
	Command(ctx context.Context, command string) (string, error)
}

// Mailbox is the firmware's mailbox through the kernel. /dev/vcio_gencmd lets through
// nothing but general commands; /dev/vcio lets through all tags, some of which run
// code, so only root commands may have it.
type Mailbox struct {
	mu   sync.Mutex // the mailbox answers one message at a time
	file *os.File
}

// OpenFirmware opens the firmware's door: vcio_gencmd, or, for root commands
// (privileged), vcio where an older kernel has only that. Neither exists on
// mainline kernels: then the error is ErrAbsent.
func OpenFirmware(root system.Root, privileged bool) (*Mailbox, error) {
	if !root.Real() {
		return nil, fmt.Errorf("%w: a tree of files has no firmware", ErrAbsent)
	}
	paths := []string{"/dev/vcio_gencmd"}
	if privileged {
		paths = append(paths, "/dev/vcio")
	}
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			return &Mailbox{file: f}, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("opening the firmware's mailbox: %w", err)
		}
	}
	return nil, fmt.Errorf("%w: the kernel has no /dev/vcio_gencmd", ErrAbsent)
}

// Close gives the device back.
func (m *Mailbox) Close() error { return m.file.Close() }

// Command sends one general command and returns its answer.
func (m *Mailbox) Command(ctx context.Context, command string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	msg, err := encodeCommand(command)
	if err != nil {
		return "", err
	}
	if err := m.property(msg); err != nil {
		return "", fmt.Errorf("firmware command %s: %w", command, err)
	}
	answer, err := decodeCommand(msg)
	if err != nil {
		return "", fmt.Errorf("firmware command %s: %w", command, err)
	}
	return answer, nil
}

// property sends a message; the answer replaces it. The ioctl's number holds the
// size of a pointer: _IOWR(100, 0, char *).
func (m *Mailbox) property(msg []uint32) error {
	request := uintptr(3)<<30 | unsafe.Sizeof(uintptr(0))<<16 | 100<<8
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, m.file.Fd(), request, uintptr(unsafe.Pointer(&msg[0])))
	runtime.KeepAlive(msg)
	if errno != 0 {
		return errno
	}
	return nil
}

const (
	tagCommand     = 0x30080
	commandBytes   = 4096
	responseOK     = 0x80000000
	headerWords    = 5 // size, code, tag, buffer size, request or response length
	errorWord      = headerWords
	textWord       = errorWord + 1
	messageWords   = textWord + commandBytes/4 + 1 // and the end tag
	maxCommandText = 200
)

// encodeCommand is the mailbox message of a general command.
func encodeCommand(command string) ([]uint32, error) {
	if command == "" || len(command) > maxCommandText || strings.IndexByte(command, 0) >= 0 {
		return nil, fmt.Errorf("%q is no firmware command", command)
	}
	msg := make([]uint32, messageWords)
	msg[0] = messageWords * 4
	msg[2], msg[3] = tagCommand, commandBytes
	text := make([]byte, commandBytes)
	copy(text, command)
	for i := range commandBytes / 4 {
		msg[textWord+i] = binary.NativeEndian.Uint32(text[i*4:])
	}
	return msg, nil
}

// decodeCommand reads the answer.
func decodeCommand(msg []uint32) (string, error) {
	if len(msg) < textWord+1 {
		return "", errors.New("the answer is too short")
	}
	if msg[1] != responseOK {
		return "", fmt.Errorf("the mailbox answered %#x", msg[1])
	}
	if code := int32(msg[errorWord]); code != 0 {
		return "", fmt.Errorf("the firmware answered error %d", code)
	}
	text := make([]byte, 4*(len(msg)-textWord))
	for i, w := range msg[textWord:] {
		binary.NativeEndian.PutUint32(text[i*4:], w)
	}
	return strings.TrimRight(unix.ByteSliceToString(text), " \r\n"), nil
}

// parseValue reads "temp=48.3'C", "volt=0.7200V", "frequency(48)=1500345728": the
// number after the equals sign, without its unit.
func parseValue(answer string) (float64, error) {
	_, value, ok := strings.Cut(answer, "=")
	if !ok {
		return 0, fmt.Errorf("%q has no value", answer)
	}
	value = strings.TrimRight(strings.TrimSpace(value), "'CVA")
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || v != v || v > 1e12 || v < -1e12 {
		return 0, fmt.Errorf("%q is no figure", answer)
	}
	return v, nil
}

// FirmwareReport is what the firmware measures; nil where it does not answer.
type FirmwareReport struct {
	Throttled   *Throttled         `json:"throttled,omitempty"`
	Temperature *float64           `json:"celsius,omitempty"`
	Volts       map[string]float64 `json:"volts,omitempty"` // core, sdram_c, sdram_i, sdram_p
	Hertz       map[string]float64 `json:"hertz,omitempty"` // arm, core, emmc, v3d
}

// ReadFirmware asks for all of it: some ten commands of a millisecond each.
func ReadFirmware(ctx context.Context, fw Firmware) (FirmwareReport, error) {
	r := FirmwareReport{Volts: map[string]float64{}, Hertz: map[string]float64{}}
	t, err := ReadThrottled(ctx, fw)
	if err != nil {
		return r, err
	}
	r.Throttled = &t
	ask := func(command string) (float64, bool) {
		answer, err := fw.Command(ctx, command)
		if err != nil {
			return 0, false
		}
		v, err := parseValue(answer)
		return v, err == nil
	}
	if v, ok := ask("measure_temp"); ok {
		r.Temperature = &v
	}
	for _, rail := range []string{"core", "sdram_c", "sdram_i", "sdram_p"} {
		if v, ok := ask("measure_volts " + rail); ok {
			r.Volts[rail] = v
		}
	}
	for _, clock := range []string{"arm", "core", "emmc", "v3d"} {
		if v, ok := ask("measure_clock " + clock); ok {
			r.Hertz[clock] = v
		}
	}
	return r, ctx.Err()
}
