// Package display is the stage: the director picks a scene, the scene draws a
// frame, wire encodes it, and every attached screen shows the same universe.
//
// A Stage steps its scene only while a screen is attached; with none it costs nothing.
// A screen is one WebSocket (ServeScreen): frames and cards go down, heartbeats and
// acknowledgements come up. A frame is encoded once for all screens that are equally far behind;
// a screen that does not keep up is sent fewer frames and delays nobody. A frame like the one
// before it is not sent at all (one in eight is), and counts as one that was on view.
//
// # Heartbeat
//
// Every five seconds a screen tells the number of the frame on view, a hash of what is
// on its canvas at cell resolution (wire's Frame.BandHash: of a large picture a part, another
// each time), how many frames a second
// it painted, by which rung of the ladder, and whether it can be seen. The stage compares the hash
// with its own of that frame, and tells painting, frozen (silent, or the number stands still),
// wrong, blank, off (on purpose) and gone apart: Status, and by it /healthz and the metrics.
//
// # The kiosk session
//
// The machine's outputs are switched by the kiosk session, which alone may; the daemon
// says what is wanted. The session speaks JSON at OutputsPath, with the kiosk's token
// in the header X-Sierpi-Kiosk:
//
//	GET  /display/outputs            -> {"version":7,"outputs":[{"name":"HDMI-1","page":"/kiosk?output=HDMI-1","on":true,"state":"painting",...}]}
//	GET  /display/outputs?after=7    the same, but the answer waits for a change, 25 s at most
//	POST /display/outputs            {"outputs":[{"name":"HDMI-1","on":true},{"name":"HDMI-2","on":false,"trouble":"xrandr: ..."}]}
//
// It begins with a POST of every output that it sees, as xrandr (or the compositor) reads
// back; the answer is that of GET. It then loops over GET with after: for each output whose "on"
// differs from what it reads it switches, reads back, and POSTs again: all outputs, each
// time, also after a hotplug. It opens "page" in a window on each output
// (through /kiosk/sign-in?token=TOKEN&output=NAME, which leaves no token in the address). "state"
// tells it when to heal: frozen, wrong, blank, hidden and gone are faults of a page, unless "on" is
// false. "attached" and "beatAge" are seconds, to bound its patience by.
// Field by field: OutputsReply, OutputWish, OutputReport.
//
// A page that is told {"type":"light","on":false} goes black by itself, and nothing is drawn
// while every screen is off.
//
// # A video wall
//
// A screen may show a part of the universe, over the seams of the torus if need be: /kiosk?view=X,Y,WIDTH,HEIGHT
// in cells, or the part that the config gives to its output.
//
// Limits: a frame has at most wire.MaxCells cells; the stage keeps the last 32
// frames (or 8 MB of them), a byte a cell, while somebody watches.
package display
