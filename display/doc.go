// Package display is the stage: the director picks a scene, the scene draws a
// frame, wire encodes it, and every attached screen shows the same universe.
//
// A Stage steps its scene only while a screen is attached; with none it costs nothing.
// A screen is one WebSocket (ServeScreen): frames and cards go down, heartbeats and
// acknowledgements come up. A frame is encoded once for all screens that are equally far behind;
// a screen that does not keep up is sent fewer frames and delays nobody.
//
// Limits: a frame has at most wire.MaxCells cells; the stage keeps the last 32
// frames (or 8 MB of them), a byte a cell, while somebody watches.
package display
