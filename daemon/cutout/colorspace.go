package cutout

import (
	"bytes"
	"compress/zlib"
	"io"
)

// colorSpace is the one kind of metadata that a result keeps, as PNG chunks; what
// the numbers of the pixels mean. A damaged one is dropped.
type colorSpace struct {
	profile     []byte // ICC
	profileGray bool
	chunks      [][2]string // name and data of gAMA, cHRM, sRGB, cICP
}

// chunk takes a chunk of a PNG.
func (s *colorSpace) chunk(name string, data []byte) {
	if name == "iCCP" {
		i := bytes.IndexByte(data, 0)
		if i < 1 || i > 79 || len(data) < i+2 || data[i+1] != 0 {
			return
		}
		z, err := zlib.NewReader(bytes.NewReader(data[i+2:]))
		if err != nil {
			return
		}
		profile, err := io.ReadAll(io.LimitReader(z, maxProfile+1))
		if err == nil {
			s.icc(profile, 0)
		}
		return
	}
	want := map[string]int{"gAMA": 4, "cHRM": 32, "sRGB": 1, "cICP": 4}[name]
	if len(data) != want || name == "sRGB" && data[0] > 3 || name == "gAMA" && bytes.Equal(data, make([]byte, 4)) {
		return
	}
	for _, c := range s.chunks {
		if c[0] == name {
			return
		}
	}
	s.chunks = append(s.chunks, [2]string{name, string(data)})
}

// icc takes a profile if it can be one of a picture of so many channels (0: any).
// One of CMYK is dropped: the pixels are converted.
func (s *colorSpace) icc(profile []byte, channels int) {
	if len(profile) < 132 || len(profile) > maxProfile || string(profile[36:40]) != "acsp" {
		return
	}
	switch space := string(profile[16:20]); {
	case space == "GRAY" && channels <= 1:
		s.profile, s.profileGray = profile, true
	case space == "RGB " && channels != 1 && channels != 4:
		s.profile, s.profileGray = profile, false
	}
}

// png are the chunks of a result that is gray or not.
func (s *colorSpace) png(gray bool) [][2]string {
	var out [][2]string
	icc := s.profile != nil && s.profileGray == gray
	for _, c := range s.chunks {
		if icc && c[0] == "sRGB" {
			continue // one of the two may stand
		}
		out = append(out, c)
	}
	if icc {
		var b bytes.Buffer
		b.WriteString("ICC\x00\x00")
		z := zlib.NewWriter(&b)
		_, _ = z.Write(s.profile)
		_ = z.Close() // to memory
		out = append(out, [2]string{"iCCP", b.String()})
	}
	return out
}

// iccParts gathers the segments of a JPEG over which a profile is spread.
type iccParts struct {
	parts [256][]byte
	total int
	bytes int
}

func (p *iccParts) add(segment []byte) {
	const mark = "ICC_PROFILE\x00"
	if len(segment) < len(mark)+2 || string(segment[:len(mark)]) != mark {
		return
	}
	n, of, data := segment[len(mark)], int(segment[len(mark)+1]), segment[len(mark)+2:]
	if n == 0 || int(n) > of || p.total != 0 && of != p.total || p.parts[n] != nil || p.bytes+len(data) > maxProfile {
		return
	}
	p.total, p.parts[n] = of, data
	p.bytes += len(data)
}

// join is the profile, nil when a part is missing.
func (p *iccParts) join() []byte {
	var out []byte
	for _, part := range p.parts[1 : p.total+1] {
		if part == nil {
			return nil
		}
		out = append(out, part...)
	}
	return out
}
