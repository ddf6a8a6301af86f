// Package cutout cuts a picture out of its plain background into a transparent
// PNG: for the command (Probe, Decode, Picture.Plan, Plan.WritePNG) and for the
// daemon's pages (Service).
//
// # The arithmetic
//
// Each pixel gets the smallest alpha with which some colour over the background
// gives that pixel, and that colour. Composing the result over the background
// therefore gives the picture back: at tolerance 0 within 1/255 a channel, at
// tolerance t within t (matte.go holds the formulas; page/static/cut.js does the
// same for the live preview, and a test holds both equal).
//
// With Options.Border only what the border reaches is removed: a flood from the
// picture's edge through pixels of the background, and from it up the slope of an
// edge for at most three pixels. Everything else stays opaque.
//
// # Memory
//
// A picture is held once, as its decoder leaves it (1.5 bytes a pixel for a
// usual JPEG); rows are converted, cut and compressed in strips and leave at
// once. Probe counts what decoding will take before it begins (Info.Memory); a
// Budget refuses what is too much and lets the rest wait. 12 megapixels of baseline
// JPEG need less than 64 MB.
//
// # Limits
//
// At most 65,535 pixels a side and 100 megapixels. HEIC, AVIF, vector formats and
// raw camera files are refused by name. Of an animation the first frame is taken.
// Results have 8 bits a channel. Metadata is dropped but the colour space.
package cutout
